# splitft-operator: what turns FineTuneJobs into pods. Without LibTorch.
#
#   docker build -f dockerfiles/operator.Dockerfile -t splitft/operator .   (in the repository's root; or buildah bud)
#
# All images have the same builder stage, so that whoever makes all of them compiles once (dockerfiles/build.sh).
FROM debian:bookworm-slim AS builder
COPY . /source
RUN /source/dockerfiles/build.sh

FROM debian:bookworm-slim
COPY --from=builder /image/splitft-operator/lib /opt/splitft/lib
COPY --from=builder /image/splitft-operator/share /opt/splitft/share
COPY --from=builder /image/splitft-operator/bin /opt/splitft/bin
USER 65532:65532
ENTRYPOINT ["/opt/splitft/bin/splitft-operator"]
