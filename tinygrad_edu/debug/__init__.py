"""Where trouble came from: `detect_anomaly`, and arrays that cannot be changed meanwhile."""
