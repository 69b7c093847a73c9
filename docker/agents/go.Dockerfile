# The example programs in Go, from the root of the source:
#
#	docker build -f docker/agents/go.Dockerfile -t statsbridge-agents-go .
#	docker run --network=host statsbridge-agents-go agentcube --address=127.0.0.1:9125

FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates golang-go
WORKDIR /source
COPY tests/go.mod tests/go.sum ./
RUN go mod download
COPY tests/agents agents
RUN CGO_ENABLED=0 go build -o /programs/ ./agents/agentcube ./agents/conduit

FROM debian:bookworm-slim
COPY --from=build /programs /bin/
USER 65534:65534
