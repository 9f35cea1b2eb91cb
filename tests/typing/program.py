"""What users write, as a type checker sees it (`mypy --strict`), with no `type: ignore`. Also run as it is."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu import nn, optim

# Tensors and arrays, on both sides

a = np.array([1.0, 2.0, 3.0])
t = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True, name="t")
assert_type(t + a, tg.Tensor)
total: tg.Tensor = 2 * t + t / 3 - t**2 + t @ a + t[0] * t.sum() + t.reshape(3, 1).T.mean() + F.relu(t) + abs(-t)
# NumPy annotates its own functions and operators as giving arrays, so what they give is not to be called a Tensor.
h = a * t + np.float64(2.0) * t
np.exp(h).sum().backward()
np.mean(np.tanh(a * t) ** 2).backward()
np.sum(np.concatenate([t, t]) + np.where(np.tile(a, 2) > 1, np.tile(t, 2), 0.0)).backward()
mask: NDArray[np.bool_] = t > 1
for element in t:
    assert_type(element, tg.Tensor)
loss = (t * a).sum()
loss.backward()
gradient: NDArray[Any] | None = t.grad
value: float = loss.item()
length, shape, kind = len(t), t.shape, t.dtype
assert_type(shape, tuple[int, ...])
print(f"{loss:.3f}", float(loss), t.tolist(), t.detach().numpy() + 1, sum([t, t]))
with tg.no_grad():
    t.data = t.data - 0.1 * a


@tg.no_grad()
def predicted(x: NDArray[np.float64]) -> Any:
    return net(x)


# Activations and losses: a tensor gives a tensor, an array gives an array

y: tg.Tensor = tg.relu(t)
array: NDArray[Any] = tg.relu(a)
assert_type(tg.sigmoid(t), tg.Tensor)
assert_type(F.softplus(a), NDArray[Any])
assert_type(F.log_sigmoid([0.0, 1.0]), NDArray[Any])
assert_type(F.leaky_relu(t, 0.1), tg.Tensor)
assert_type(F.silu(t), tg.Tensor)
assert_type(F.gelu(a, "tanh"), NDArray[Any])
assert_type(F.elu([0.0, 1.0]), NDArray[Any])
assert_type(F.hardtanh(t, -1, 2), tg.Tensor)
assert_type(F.softsign(t), tg.Tensor)
assert_type(F.softmax(t), tg.Tensor)
assert_type(F.log_softmax(a, axis=0), NDArray[Any])
assert_type(F.logsumexp(t, axis=(0,), keepdims=True), tg.Tensor)
assert_type(F.dropout(t, 0.5, rng=0), tg.Tensor)
assert_type(F.dropout(a, training=False), NDArray[Any])
assert_type(F.linear(np.ones((2, 3)), t.reshape(3, 1)), tg.Tensor)
assert_type(F.linear(np.ones((2, 3)), np.ones((3, 1)), np.ones(1)), NDArray[Any])
assert_type(F.mse_loss(t, a), tg.Tensor)
assert_type(F.binary_cross_entropy(F.sigmoid(t), [0, 1, 1], "sum"), tg.Tensor)
assert_type(F.binary_cross_entropy_with_logits(t, a > 1), tg.Tensor)
assert_type(tg.l2_penalty([t], 0.1, 8), tg.Tensor)
of_arrays: np.floating[Any] = F.mse_loss(a, [1.0, 2.0, 4.0])
F.mse_loss(np.tanh(a * t), a).backward()  # which NumPy calls an array
assert_type(tg.one_hot([0, 2], 3, np.float32), NDArray[Any])

# Modules


class Residual(tg.Module):
    def __init__(self, features: int, *, rng: np.random.Generator | int | None = None) -> None:
        self.dense = tg.Dense(features, features, rng=rng, init=nn.he_normal)
        self.scale = tg.Tensor(np.ones(features), requires_grad=True)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        y: tg.Tensor = x + self.scale * F.relu(self.dense(x))
        return y


net = tg.Sequential(
    tg.Dense(3, 4, rng=0), Residual(4, rng=1), tg.Dropout(0.1), np.tanh, lambda x: x * 2, tg.Dense(4, 2)
)
net.append(tg.Identity()).train()
X, labels = np.ones((8, 3)), np.arange(8) % 2
z: tg.Tensor = net(X)
print(net.summary(), net.num_parameters, net[0].weight.shape, net[:2](X).shape)
for name, p in net.named_parameters():
    assert_type(name, str)
    assert_type(p, tg.Tensor)
state = net.state_dict()
net.load_state_dict(state)
tg.from_torch_state_dict(net, tg.to_torch_state_dict(net))
if left := net.load_state_dict(state, strict=False):
    assert_type(left.missing, list[str])
net.register_buffer("mean", np.zeros(3))
assert_type(net.apply(print).float().double(), tg.Sequential)
z.retain_grad()
z.register_hook(lambda g: 2 * g).remove()
print(net.summary(X))

# Losses and optimisers

J: tg.Tensor = F.cross_entropy(net(X), labels) + tg.l2_penalty(net, 0.1, 8) + tg.mse_loss(z, np.zeros((8, 2)))
J.backward()
weights, biases = net.parameters()[::2], net.parameters()[1::2]
grouped = tg.SGD([{"params": weights, "weight_decay": 1e-4}, {"params": biases, "lr": 0.2}], lr=0.1, momentum=0.9)
grouped.step()
grouped.zero_grad()
grouped.lr = 0.05
adam = tg.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.99))
generated = optim.RMSprop(p for p in net.parameters())
step = tg.compile_step(lambda X, y: F.cross_entropy(net(X), y), adam)
cost: float = step(X, labels)

# Training


class Printer(tg.Callback):
    def after_batch(self, training: Any) -> None:
        print(training.step, training.batch_loss)

    def after_epoch(self, training: Any) -> None:
        print(training.epoch, training.history["loss"][-1])


def distance(prediction: Any, target: Any) -> float:
    return float(np.mean(np.abs(prediction.argmax(axis=1) - target)))


history = tg.fit(
    net,
    X,
    labels,
    loss=F.cross_entropy,
    optimizer=adam,
    epochs=2,
    validation=(X, labels),
    metrics=[tg.accuracy, distance],
    schedule=optim.warmup(optim.cosine(1e-3, 2), 0.5),
    callbacks=[Printer(), tg.EarlyStopping(2), lambda training: print(training.epoch)],
    progress=False,
    rng=np.random.default_rng(0),
)
losses: list[float] = history["loss"]
tg.fit(net, [[0.0, 1.0, 2.0]], [1], loss=F.cross_entropy, optimizer=adam, epochs=1, metrics=[lambda p, t: p.max()])
tg.fit(net, X, labels, loss=lambda z, y: F.cross_entropy(z, y), optimizer=adam, epochs=1, metrics={"mine": distance})
importance, ce = np.ones(len(X)), F.cross_entropy
tg.fit(net, {"x": X, "z": X}, (labels, X), loss=ce, optimizer=adam, epochs=0, sample_weight=importance, shuffle=False)
tg.fit(net, (X, X), {"y": X}, loss=ce, optimizer=adam, epochs=0, validation=((X, X), {"y": X}))
tg.fit(net, [(X, labels)], loss=ce, optimizer=adam, epochs=1, augment=lambda X, y, rng: (X + rng.normal(), y))
tg.fit(net, tg.Batches(X, labels, batch_size=4), loss=ce, optimizer=adam, epochs=1, steps_per_epoch=3)
for rows, targets in tg.Batches(X, labels, batch_size=4, rng=0):
    print(rows.shape, targets.shape)
predicted_rows = tg.predict(net, X)
assert_type(predicted_rows, NDArray[Any])
probabilities = F.softmax(predicted_rows)
share: float = tg.accuracy(tg.predict(net, X), labels)
onehot: NDArray[Any] = tg.one_hot(labels, 2)
normal = tg.Standardizer().fit(X)
assert_type(normal(X), NDArray[Any])
assert_type(normal(t), tg.Tensor)
with tempfile.TemporaryDirectory() as folder:
    tg.save(net, f"{folder}/net.npz")
    tg.load(net, Path(folder) / "net.npz")
tg.minimize(t, lambda: (t * t).sum(), max_iter=1)
fitted = tg.minimize(net, lambda: F.cross_entropy(net(X), labels), method="CG", max_iter=2)

# Transforms


def energy(w: Any) -> Any:
    return np.sum(w**2)


g = tg.grad(energy)(a)
both = tg.value_and_grad(energy)(a)
H = tg.hessian(energy)(a)
first, second = tg.value_and_grad(energy)(a)
by_hand: NDArray[Any] = g + 1
two = tg.grad(lambda w, b: np.sum(w * b), argnums=(0, 1))(a, a)
pulled, pull = tg.vjp(np.exp, a)
print(tg.gradcheck(energy, a), tg.numerical_gradient(energy, a)[0], tg.jacobian(np.exp)(a), tg.hvp(energy, a, a))
value_there, change = tg.jvp(energy, (a,), (np.ones(3),))
slopes: NDArray[Any] = tg.elementwise_grad(np.tanh)(a)
by_name = tg.grad(energy, "w")(w=a)
loss_of = lambda X: F.cross_entropy(net(X), labels)
directions = [np.ones(p.shape) for p in net.parameters()]
print(tg.hessian(loss_of, parameters=net[0].bias)(X), tg.hvp(loss_of, X, directions, parameters=net))
print(tg.gradcheck(energy, np.ones(1000), samples=10, rng=1))
derived = tg.derive(lambda X: np.mean(net(X)), X, parameters=net)
v, gradients = derived(X)
text: str = derived.source

# A derivative of one's own


@tg.primitive
def softsign(x: Any) -> Any:
    return x / (1 + abs(x))


tg.rule(softsign, lambda g, x: g / (1 + abs(x)) ** 2)
signed: tg.Tensor = softsign(t)
plain: NDArray[np.float64] = softsign(a)

# Drawings


def drawn(loss: tg.Tensor, folder: str) -> Path:
    print(tg.explain(loss, model=net, max_rows=10), tg.draw_graph(loss, model=net, show=("values",), depth=0))
    return tg.render_graph(loss, f"{folder}/loss.svg", model=net, show=["order"], direction="down", max_nodes=None)


with tg.detect_anomaly():
    F.cross_entropy(net(X), labels).backward()
