"""What every service runs on: projector, Kafka, MongoDB, settings, health. No loyalty rule."""
