{{/* Names. A name that is too long is refused: a cut one could be another release's. */}}
{{- define "sealgate.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Values.fullnameOverride | default (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) -}}
{{- if gt (len $full) 46 -}}
{{- fail (printf "the name %s is too long (%d characters): at most 46 leave room for the names of pods and volumes; set fullnameOverride" $full (len $full)) -}}
{{- end -}}
{{- $full -}}
{{- end -}}

{{- define "sealgate.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sealgate.labels" -}}
{{ include "sealgate.selectorLabels" . }}
app.kubernetes.io/part-of: sealgate
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The pods of the StatefulSet, and no other of the release. */}}
{{- define "sealgate.podSelector" -}}
{{ include "sealgate.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "sealgate.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" or nothing, for a value that is true, false or auto: `include "sealgate.auto" (list . value apiVersion)`. */}}
{{- define "sealgate.auto" -}}
{{- $root := index . 0 -}}{{- $value := index . 1 | toString -}}
{{- if or (eq $value "true") (and (eq $value "auto") ($root.Capabilities.APIVersions.Has (index . 2))) -}}true{{- end -}}
{{- end -}}

{{- define "sealgate.openshift" -}}
{{- include "sealgate.auto" (list . .Values.openshift "security.openshift.io/v1") -}}
{{- end -}}

{{/* "true" when the pods talk to the API server: then they get a token, a role and a way through the NetworkPolicy. */}}
{{- define "sealgate.usesApi" -}}
{{- if or (include "sealgate.kubernetesEvents" .) (include "sealgate.inventory" . | fromJsonArray) (include "sealgate.managed" .) (include "sealgate.checkpointConfigMap" .) -}}true{{- end -}}
{{- end -}}

{{/* Name of the ConfigMap that the replicas write their newest checkpoints to, or nothing. */}}
{{- define "sealgate.checkpointConfigMap" -}}
{{- $mirror := .Values.settings.mirror | default dict -}}
{{- (get $mirror "configMap" | default dict).name | default "" -}}
{{- end -}}

{{/* Where the webhook's certificate is from. Without a webhook there is nothing for the replicas to keep, and the listener needs one. */}}
{{- define "sealgate.webhookCertificate" -}}
{{- with .Values.webhook -}}
{{- and (eq .certificate.source "managed") (not .enabled) | ternary "generated" .certificate.source -}}
{{- end -}}
{{- end -}}

{{/* "true" or nothing: whether the replicas keep the webhook's certificate. */}}
{{- define "sealgate.managed" -}}
{{- if eq (include "sealgate.webhookCertificate" .) "managed" -}}true{{- end -}}
{{- end -}}

{{- define "sealgate.enforcementAccount" -}}
{{- printf "%s-enforcement" (include "sealgate.fullname" .) -}}
{{- end -}}

{{/* Names of all ClusterRoles and ClusterRoleBindings that the release may have, as CEL. */}}
{{- define "sealgate.clusterRoles" -}}
{{- $full := include "sealgate.fullname" . -}}
[{{ range $i, $part := list "certificate" "enforcement" "inventory" "removal" }}{{ if $i }}, {{ end }}'{{ $full }}-{{ $part }}'{{ end }}]
{{- end -}}

{{/* "true" while the webhook is to fail closed, and does not yet: until the API server has had an answer, it admits. */}}
{{- define "sealgate.unanswered" -}}
{{- $value := .Values.webhook.failOnceAnswered | toString -}}
{{- $sees := or (eq $value "true") (and (eq $value "auto") (lookup "v1" "Namespace" "" "kube-system")) -}}
{{- if and .Values.webhook.enabled (eq .Values.webhook.failurePolicy "Fail") $sees -}}
{{- $live := lookup "admissionregistration.k8s.io/v1" "ValidatingWebhookConfiguration" "" (include "sealgate.fullname" .) -}}
{{- $fails := false -}}
{{- range $live.webhooks -}}
{{- if and (eq .name "admission.sealgate.dev") (eq .failurePolicy "Fail") -}}{{- $fails = true -}}{{- end -}}
{{- end -}}
{{- if not $fails -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sealgate.managedSecret" -}}
{{- printf "%s-webhook-ca" (include "sealgate.fullname" .) -}}
{{- end -}}

{{- define "sealgate.kubernetesEvents" -}}
{{- $detect := .Values.settings.detect | default dict -}}
{{- if (get $detect "kubernetesEvents" | default dict).enabled -}}true{{- end -}}
{{- end -}}

{{/* Of a pod, as the restricted Pod Security Standard wants it. */}}
{{- define "sealgate.podSecurityContext" -}}
runAsNonRoot: true
{{- if not (include "sealgate.openshift" .) }}
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
# "Always" would make the signing key readable by the group at each start, which Sealgate refuses.
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sealgate.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "sealgate.webhookTlsSecret" -}}
{{- $source := include "sealgate.webhookCertificate" . -}}
{{- if eq $source "existingSecret" -}}{{ .Values.webhook.certificate.secretName }}
{{- else if eq $source "managed" -}}{{ include "sealgate.managedSecret" . }}
{{- else -}}{{ include "sealgate.fullname" . }}-webhook-tls
{{- end -}}
{{- end -}}

{{- define "sealgate.auditTlsSecret" -}}
{{- with .Values.audit.certificate -}}
{{- eq .source "existingSecret" | ternary .secretName (printf "%s-audit-tls" (include "sealgate.fullname" $)) -}}
{{- end -}}
{{- end -}}

{{- define "sealgate.peersTlsSecret" -}}
{{- with .Values.peers.certificate -}}
{{- eq .source "existingSecret" | ternary .secretName (printf "%s-peers-tls" (include "sealgate.fullname" $)) -}}
{{- end -}}
{{- end -}}

{{/* The name under which the addresses of all replicas are found, ready or not. */}}
{{- define "sealgate.replicasName" -}}
{{- printf "%s-replicas.%s.svc" (include "sealgate.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* The names that a Service is called by: `include "sealgate.serviceNames" (list . suffix)`, separated by commas. */}}
{{- define "sealgate.serviceNames" -}}
{{- $root := index . 0 -}}
{{- $name := printf "%s-%s.%s" (include "sealgate.fullname" $root) (index . 1) $root.Release.Namespace -}}
{{- printf "%s.svc,%s.svc.cluster.local" $name $name -}}
{{- end -}}

{{/* What only this rendering knows, made once so that every template sees the same: the webhook's path, its certificate, the
     audit stream's. What an earlier installation made is found in the cluster and kept. */}}
{{- define "sealgate.made" -}}
{{- if not (hasKey . "made") -}}
{{- $full := include "sealgate.fullname" . -}}
{{- $ns := .Release.Namespace -}}
{{- $made := dict -}}
{{- $kept := (lookup "v1" "Secret" $ns (printf "%s-webhook-path" $full)).data | default dict -}}
{{- $path := .Values.webhook.path | default (get $kept "path" | b64dec) | default (printf "/v1/admit/%s" (randAlphaNum 40 | lower)) -}}
{{- $_ := set $made "path" $path -}}
{{- if eq (include "sealgate.webhookCertificate" .) "generated" -}}
{{- $kept := (lookup "v1" "Secret" $ns (include "sealgate.webhookTlsSecret" .)).data -}}
{{- if $kept -}}
{{- $_ := set $made "webhook" (dict "ca" (index $kept "ca.crt" | b64dec) "cert" (index $kept "tls.crt" | b64dec) "key" (index $kept "tls.key" | b64dec)) -}}
{{- else -}}
{{- $ca := genCA "Sealgate admission CA" 3650 -}}
{{- $names := concat (list) (splitList "," (include "sealgate.serviceNames" (list . "admission"))) -}}
{{- $pair := genSignedCert (index $names 0 | trunc 64) nil $names 3650 $ca -}}
{{- $_ := set $made "webhook" (dict "ca" $ca.Cert "cert" $pair.Cert "key" $pair.Key) -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.audit.certificate.source "generated" -}}
{{- $server := (lookup "v1" "Secret" $ns (include "sealgate.auditTlsSecret" .)).data -}}
{{- $client := (lookup "v1" "Secret" $ns (printf "%s-audit-client" $full)).data -}}
{{- if and $server $client -}}
{{- $_ := set $made "audit" (dict "ca" (index $server "ca.crt" | b64dec) "cert" (index $server "tls.crt" | b64dec) "key" (index $server "tls.key" | b64dec) "clientCert" (index $client "tls.crt" | b64dec) "clientKey" (index $client "tls.key" | b64dec)) -}}
{{- else if or $server $client -}}
{{- fail (printf "of the Secrets %s and %s-audit-client, which belong together, one is missing: put it back, or delete the other, too, and give the API servers the new kubeconfig" (include "sealgate.auditTlsSecret" .) $full) -}}
{{- else -}}
{{- $ca := genCA "Sealgate audit CA" 3650 -}}
{{- $names := concat (splitList "," (include "sealgate.serviceNames" (list . "audit"))) .Values.audit.certificate.hostnames -}}
{{- $ips := list -}}{{- $dns := list -}}
{{- range $names -}}
{{- if or (regexMatch "^[0-9.]+$" .) (contains ":" .) -}}{{- $ips = append $ips . -}}{{- else -}}{{- $dns = append $dns . -}}{{- end -}}
{{- end -}}
{{- with .Values.audit.service.clusterIP -}}{{- $ips = append $ips . -}}{{- end -}}
{{- $pair := genSignedCert (index $dns 0 | trunc 64) $ips $dns 3650 $ca -}}
{{- $clientPair := genSignedCert "sealgate-audit-client" nil nil 3650 $ca -}}
{{- $_ := set $made "audit" (dict "ca" $ca.Cert "cert" $pair.Cert "key" $pair.Key "clientCert" $clientPair.Cert "clientKey" $clientPair.Key) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.peers.enabled (eq .Values.peers.certificate.source "generated") -}}
{{- $kept := (lookup "v1" "Secret" $ns (include "sealgate.peersTlsSecret" .)).data -}}
{{- if $kept -}}
{{- $_ := set $made "peers" (dict "ca" (index $kept "ca.crt" | b64dec) "cert" (index $kept "tls.crt" | b64dec) "key" (index $kept "tls.key" | b64dec)) -}}
{{- else -}}
{{- $ca := genCA "Sealgate replicas CA" 3650 -}}
{{- $pair := genSignedCert (include "sealgate.replicasName" . | trunc 64) nil (list (include "sealgate.replicasName" .)) 3650 $ca -}}
{{- $_ := set $made "peers" (dict "ca" $ca.Cert "cert" $pair.Cert "key" $pair.Key) -}}
{{- end -}}
{{- end -}}
{{- $_ := set . "made" $made -}}
{{- end -}}
{{- end -}}

{{/* Refuses a given Secret that lacks a key: the pods would wait for it for ever. One that is not there yet may still come.
     `include "sealgate.checkSecret" (list . value name keys)`. */}}
{{- define "sealgate.checkSecret" -}}
{{- $root := index . 0 -}}{{- $name := index . 2 -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace $name -}}
{{- if $secret -}}
{{- range index . 3 -}}
{{- if not (hasKey ($secret.data | default dict) .) -}}
{{- fail (printf "%s names the Secret %s, which has no key %s (it has: %s)" (index $ 1) $name . (keys ($secret.data | default dict) | sortAlpha | join ", " | default "none")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" where a new volume would wait for ever: the values name no class, and the cluster has no default. */}}
{{- define "sealgate.noStorageClass" -}}
{{- if and (kindIs "invalid" .Values.persistence.storageClass) (lookup "v1" "Namespace" "" "kube-system") -}}
{{- $default := list -}}
{{- range (lookup "storage.k8s.io/v1" "StorageClass" "" "").items -}}
{{- if eq (get (.metadata.annotations | default dict) "storageclass.kubernetes.io/is-default-class") "true" -}}
{{- $default = append $default .metadata.name -}}
{{- end -}}
{{- end -}}
{{- if not $default -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Namespaces, separated by commas, that are not exempt and from which DaemonSets bring the network or the storage of nodes up, by the
     folders of the node that they write to. */}}
{{- define "sealgate.forgottenNamespaces" -}}
{{- $found := list -}}
{{- if and .Values.webhook.enabled (lookup "v1" "Namespace" "" "kube-system") -}}
{{- $exempt := append .Values.webhook.exemptNamespaces .Release.Namespace -}}
{{- $openshift := include "sealgate.openshift" . -}}
{{- range $set := (lookup "apps/v1" "DaemonSet" "" "").items -}}
{{- $name := $set.metadata.namespace -}}
{{- range $set.spec.template.spec.volumes -}}
{{- $path := (.hostPath | default dict).path | default "" -}}
{{- if and (regexMatch "^/(opt/cni|etc/cni|var/lib/cni|var/lib/kubelet/plugins)" $path) (not (has $name $exempt)) (not (and $openshift (hasPrefix "openshift-" $name))) -}}
{{- $found = append $found $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $found | uniq | sortAlpha | join "," -}}
{{- end -}}

{{/* What no schema can say. */}}
{{/* The resources that policies may look at, as a JSON array. */}}
{{- define "sealgate.inventory" -}}
{{- (.Values.settings.inventory | default dict).resources | default list | toJson -}}
{{- end -}}

{{- define "sealgate.check" -}}
{{- range include "sealgate.inventory" . | fromJsonArray -}}
{{- if and (eq .resource "secrets") (not .group) -}}
{{- fail "settings.inventory.resources names secrets: policies must not see the values of Secrets, because what they say is recorded" -}}
{{- end -}}
{{- end -}}
{{- with include "sealgate.checkpointConfigMap" . -}}
{{- if not ($.Values.settings.mirror).url -}}
{{- fail "settings.mirror.configMap.name names a ConfigMap for what the mirror has, and there is no mirror: give settings.mirror.url" -}}
{{- end -}}
{{- $full := include "sealgate.fullname" $ -}}
{{- if has . (list $full (printf "%s-dashboard" $full) $.Values.policies.configMap) -}}
{{- fail (printf "settings.mirror.configMap.name is %s, which is a ConfigMap with something else in it: give another name" .) -}}
{{- end -}}
{{- end -}}
{{- with .Values.webhook.certificate -}}
{{- if and (eq .source "existingSecret") (or (not .secretName) (not .caBundle)) -}}
{{- fail "webhook.certificate.source is existingSecret: give webhook.certificate.secretName and webhook.certificate.caBundle" -}}
{{- end -}}
{{- if and (eq .source "certManager") (not ($.Capabilities.APIVersions.Has "cert-manager.io/v1")) -}}
{{- fail "webhook.certificate.source is certManager, and the cluster does not know cert-manager.io/v1: install cert-manager first (with helm template: --api-versions cert-manager.io/v1)" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.audit.certificate.source "existingSecret") (not .Values.audit.certificate.secretName) -}}
{{- fail "audit.certificate.source is existingSecret: give audit.certificate.secretName" -}}
{{- end -}}
{{- if and .Values.peers.enabled (eq .Values.peers.certificate.source "existingSecret") (not .Values.peers.certificate.secretName) -}}
{{- fail "peers.certificate.source is existingSecret: give peers.certificate.secretName" -}}
{{- end -}}
{{- with .Values.peers -}}
{{- if and .enabled (eq .certificate.source "existingSecret") -}}
{{- include "sealgate.checkSecret" (list $ "peers.certificate.secretName" .certificate.secretName (list "tls.crt" "tls.key" "ca.crt")) -}}
{{- end -}}
{{- end -}}
{{- with .Values.webhook.certificate -}}
{{- if eq .source "existingSecret" -}}
{{- include "sealgate.checkSecret" (list $ "webhook.certificate.secretName" .secretName (list "tls.crt" "tls.key")) -}}
{{- end -}}
{{- end -}}
{{- with .Values.audit.certificate -}}
{{- if eq .source "existingSecret" -}}
{{- include "sealgate.checkSecret" (list $ "audit.certificate.secretName" .secretName (list "tls.crt" "tls.key" "ca.crt")) -}}
{{- end -}}
{{- end -}}
{{- with .Values.s3 -}}
{{- if .existingSecret -}}
{{- include "sealgate.checkSecret" (list $ "s3.existingSecret" .existingSecret (list .accessKeyIdKey .secretAccessKeyKey)) -}}
{{- end -}}
{{- end -}}
{{- if .Values.keys.existingSecret -}}
{{- $keys := list -}}
{{- range until (int .Values.replicas) -}}
{{- $keys = append $keys (printf "%s-%d.key" (include "sealgate.fullname" $) .) -}}
{{- end -}}
{{- include "sealgate.checkSecret" (list $ "keys.existingSecret" .Values.keys.existingSecret $keys) -}}
{{- end -}}
{{- if and .Values.webhook.exemptLabel (not .Values.protection.enabled) -}}
{{- fail "webhook.exemptLabel lets whoever may label an object pass by every policy: it needs protection.enabled" -}}
{{- end -}}
{{- if and .Values.audit.service.nodePort (ne .Values.audit.service.type "NodePort") -}}
{{- fail "audit.service.nodePort needs audit.service.type NodePort" -}}
{{- end -}}
{{- $shutdown := .Values.settings.shutdown | default dict -}}
{{- $stop := add (get $shutdown "drainMs" | default 0 | int) (get $shutdown "graceMs" | default 25000 | int) 5000 -}}
{{- if lt (mul .Values.terminationGracePeriodSeconds 1000) $stop -}}
{{- fail (printf "terminationGracePeriodSeconds (%d s) is shorter than settings.shutdown.drainMs, graceMs and 5 s for the ledger together (%d ms): the kubelet would kill a replica that is still answering" (int .Values.terminationGracePeriodSeconds) $stop) -}}
{{- end -}}
{{- if .Values.webhook.enabled -}}
{{- range (lookup "admissionregistration.k8s.io/v1" "ValidatingWebhookConfiguration" "" "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $owner := .metadata.annotations | default dict -}}
{{- if eq (get $labels "app.kubernetes.io/part-of") "sealgate" -}}
{{- if or (ne (get $owner "meta.helm.sh/release-name") $.Release.Name) (ne (get $owner "meta.helm.sh/release-namespace") $.Release.Namespace) -}}
{{- fail (printf "the cluster has a webhook of Sealgate already, %s of another installation: uninstall that one, or set webhook.enabled to false here" .metadata.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
