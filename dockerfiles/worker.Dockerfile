# splitft-worker for CPUs: what a client's pod runs.
#
#   docker build -f dockerfiles/worker.Dockerfile -t splitft/worker .   (in the repository's root; or buildah bud)
#
# All images have the same builder stage, so that whoever makes all of them compiles once (dockerfiles/build.sh).
FROM debian:bookworm-slim AS builder
COPY . /source
RUN /source/dockerfiles/build.sh

FROM debian:bookworm-slim
# The libraries come first: their layer, LibTorch's most of all, is the same from one version to the next, and in the
# worker's and the aggregator's image.
COPY --from=builder /image/splitft-worker/lib /opt/splitft/lib
COPY --from=builder /image/splitft-worker/share /opt/splitft/share
COPY --from=builder /image/splitft-worker/bin /opt/splitft/bin
# As `splitft run` sets them (cli/run_session.cc): memory that a step frees the next one takes again.
ENV GOMP_SPINCOUNT=10000 GRPC_VERBOSITY=NONE \
    GLIBC_TUNABLES=glibc.malloc.trim_threshold=1073741824:glibc.malloc.mmap_threshold=33554432:glibc.malloc.hugetlb=1
USER 65532:65532
ENTRYPOINT ["/opt/splitft/bin/splitft-worker"]
