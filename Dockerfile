# The image, from what `make dist` has prepared: nothing is built or fetched here. The default base is empty, and dist/root has
# the libraries that Node needs; with another base (glibc, libstdc++, libatomic) leave that line's content empty.
ARG BASE=scratch
FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sealgate" \
      org.opencontainers.image.description="Kubernetes admission control and audit with a record that can be verified" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY dist/root/ /
COPY dist/bin/ /opt/sealgate/bin/
COPY dist/app/ /opt/sealgate/app/
COPY dist/sbom.cdx.json /opt/sealgate/
ENV PATH=/opt/sealgate/bin \
    HOME=/data \
    NODE_ENV=production \
    MALLOC_MMAP_THRESHOLD_=131072 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    SEALGATE_POLICY_OPA=/opt/sealgate/bin/opa \
    SEALGATE_POLICY_DIR=/opt/sealgate/app/policies \
    SEALGATE_DATA_DIR=/data
USER 65532:65532
WORKDIR /data
EXPOSE 8443 8444 8445 9090
ENTRYPOINT ["node", "--max-semi-space-size=4", "/opt/sealgate/app/src/cli/main.js"]
CMD ["serve"]
