"""ECG anomaly detection with autoencoders."""
