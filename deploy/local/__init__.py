"""The native local stack: Kafka, mongod and every service, without Docker or an installed Java."""
