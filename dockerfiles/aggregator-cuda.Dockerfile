# splitft-aggregator for NVIDIA GPUs (sm_90): what the aggregator pod of a job with aggregator.device: cuda:0 runs. The
# driver comes from the node, by NVIDIA's container runtime.
#
#   docker build -f dockerfiles/aggregator-cuda.Dockerfile -t splitft/aggregator-cuda .   (in the repository's root)
FROM debian:bookworm-slim AS builder
COPY . /source
RUN /source/dockerfiles/build.sh cuda

FROM debian:bookworm-slim
# The libraries come first: their layer, LibTorch's most of all, is the same from one version to the next.
COPY --from=builder /image/splitft-aggregator/lib /opt/splitft/lib
COPY --from=builder /image/splitft-aggregator/share /opt/splitft/share
COPY --from=builder /image/splitft-aggregator/bin /opt/splitft/bin
# As `splitft run` sets them (cli/run_session.cc): memory that a step frees the next one takes again.
ENV GOMP_SPINCOUNT=10000 GRPC_VERBOSITY=NONE \
    GLIBC_TUNABLES=glibc.malloc.trim_threshold=1073741824:glibc.malloc.mmap_threshold=33554432:glibc.malloc.hugetlb=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 65532:65532
ENTRYPOINT ["/opt/splitft/bin/splitft-aggregator"]
