# One image for every process: `docker run laurel python -m services.points`.
FROM python:3.13-slim AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
RUN python -m venv /opt/laurel
COPY requirements.runtime.lock /tmp/
RUN /opt/laurel/bin/python -m pip install --no-deps --require-hashes --only-binary :all: \
    --requirement /tmp/requirements.runtime.lock

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Laurel" \
    org.opencontainers.image.description="An open, self-hosted, event-driven loyalty platform" \
    org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/laurel/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin laurel
COPY --from=packages /opt/laurel /opt/laurel
WORKDIR /app
COPY LICENSE NOTICE ./
COPY deploy ./deploy
COPY shared ./shared
COPY services ./services
RUN python -m compileall -q .
USER 10001
STOPSIGNAL SIGTERM
# A HEALTHCHECK here could not know which port: whoever runs a process says so, with
# `python -m deploy.compose.healthy PORT`.
CMD ["python", "-m", "services.ingest", "gateway"]
