# syntax=docker/dockerfile:1
# One image for every role: the role is the first argument.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Without the feature `dev` there is no private Postgres or nats-server in the binary. The checked
# queries are read from .sqlx: building needs no database.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package chatboard --no-default-features \
    && install -D target/release/chatboard /out/chatboard

FROM debian:bookworm-slim
# Certificates are for TLS to Postgres and NATS.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin chatboard \
    # A volume for the signing key takes its owner from here.
    && install -d -o 10001 -m 700 /keys
COPY --from=build /out/chatboard /usr/local/bin/chatboard
USER 10001
# In a container the loopback defaults would be unreachable. REST, WebSockets, operations.
ENV CHATBOARD_HTTP_ADDR=0.0.0.0:8080 \
    CHATBOARD_WS_ADDR=0.0.0.0:8081 \
    CHATBOARD_OPS_ADDR=0.0.0.0:9464 \
    CHATBOARD_LOG_FORMAT=json
EXPOSE 8080 8081 9464
# Health is asked of the operations port by whoever runs the container: see docker-compose.yml.
ENTRYPOINT ["chatboard"]
CMD ["--help"]
