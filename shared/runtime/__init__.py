"""What every service runs on: the projector, Kafka, MongoDB, settings, logs, health. No loyalty rule."""
