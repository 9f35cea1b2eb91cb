// Marks that tell lines and classes apart where colours do not.

const COLOURS = 8; // of styles in training.css

const MARKS = [
  (x, y, r) => `M${x - r},${y}a${r},${r},0,1,0,${2 * r},0a${r},${r},0,1,0,${-2 * r},0Z`, // a circle
  (x, y, r) => `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}Z`,
  (x, y, r) => `M${x},${y - 1.2 * r}L${x + 1.2 * r},${y + r}H${x - 1.2 * r}Z`,
  (x, y, r) => `M${x},${y - 1.4 * r}L${x + 1.4 * r},${y}L${x},${y + 1.4 * r}L${x - 1.4 * r},${y}Z`,
  (x, y, r) => `M${x},${y + 1.2 * r}L${x + 1.2 * r},${y - r}H${x - 1.2 * r}Z`,
  (x, y, r) => `M${x - 1.3 * r},${y - 0.4 * r}h${2.6 * r}v${0.8 * r}h${-2.6 * r}Z`, // a bar
  (x, y, r) => `M${x - 0.4 * r},${y - 1.3 * r}h${0.8 * r}v${2.6 * r}h${-0.8 * r}Z`,
]; // as many as no number of colours, so that a colour and a mark together tell 56 lines apart

/** The outline of the k-th mark around a point. */
const markAt = (k, x, y, size) => MARKS[k % MARKS.length](x, y, size);
