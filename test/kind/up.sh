#!/bin/sh
# Sealgate on a kind cluster, with the audit stream wired in: needs a Docker engine, kind (with Kubernetes 1.31 or newer), kubectl,
# helm and openssl. The API server reads its kubeconfig when it starts, so that address and certificates are made beforehand.
set -eu
cd "$(dirname "$0")"
address=10.96.100.44 name=sealgate-audit.sealgate-system.svc
umask 077
mkdir -p audit && cd audit
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 365 -subj '/CN=Sealgate audit CA' 2>/dev/null
sign() { # sign NAME USE SUBJECT-ALTERNATIVE-NAMES
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
  printf 'extendedKeyUsage=%s\nsubjectAltName=%s\n' "$2" "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}
sign server serverAuth "DNS:$name,IP:$address"
sign client clientAuth DNS:kube-apiserver
cat >audit-webhook.kubeconfig <<EOF
apiVersion: v1
kind: Config
clusters:
  - name: sealgate
    cluster: {server: "https://$address:8444/v1/audit", certificate-authority: /etc/kubernetes/sealgate/ca.crt}
users:
  - name: api-server
    user: {client-certificate: /etc/kubernetes/sealgate/client.crt, client-key: /etc/kubernetes/sealgate/client.key}
contexts:
  - name: sealgate
    context: {cluster: sealgate, user: api-server}
current-context: sealgate
EOF
cp ../../../manifests/audit-policy.yaml .
cd ..
make -C ../.. image IMAGE=registry.example.com/sealgate:0.1.0
kind create cluster --name sealgate --config cluster.yaml
kind load docker-image registry.example.com/sealgate:0.1.0 --name sealgate
kubectl create namespace sealgate-system
kubectl -n sealgate-system create secret generic sealgate-audit-tls \
  --from-file=tls.crt=audit/server.crt --from-file=tls.key=audit/server.key --from-file=ca.crt=audit/ca.crt
helm install sealgate ../../charts/sealgate --namespace sealgate-system --wait --set image.repository=registry.example.com/sealgate \
  --set audit.service.clusterIP=$address --set audit.certificate.source=existingSecret --set audit.certificate.secretName=sealgate-audit-tls \
  --set 'webhook.exemptNamespaces={kube-system,kube-node-lease,local-path-storage}'
echo 'ready: kubectl run bad --image=nginx --privileged; kind delete cluster --name sealgate ends it'
