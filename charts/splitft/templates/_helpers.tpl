{{/* Whatever a chart above calls this one: NetworkPolicies of jobs know the operator's pods by it. */}}
{{- define "splitft.name" -}}
splitft-operator
{{- end -}}

{{/* With the release's name before it, unless that says the same. */}}
{{- define "splitft.fullname" -}}
{{- if eq .Release.Name "splitft" -}}
{{- include "splitft.name" . -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 46 | trimSuffix "-") (include "splitft.name" .) -}}
{{- end -}}
{{- end -}}

{{- define "splitft.selector" -}}
app.kubernetes.io/name: {{ include "splitft.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Of the pod of `helm test`, which is no operator. */}}
{{- define "splitft.testSelector" -}}
app.kubernetes.io/name: {{ include "splitft.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "splitft.labels" -}}
{{ include "splitft.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: splitft
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image of `.image`, whose tag is the chart's own unless it names one. */}}
{{- define "splitft.image" -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}

{{/* What the operator does in the namespaces whose jobs it runs. No secrets, and nothing of other namespaces. */}}
{{- define "splitft.rules" -}}
- apiGroups: [splitft.io]
  resources: [finetunejobs]
  verbs: [get, list, watch, delete] # delete: when ttlSecondsAfterFinished has passed
- apiGroups: [splitft.io]
  resources: [finetunejobs/status]
  verbs: [patch]
- apiGroups: [splitft.io]
  resources: [finetunejobs/finalizers] # to own children, where OwnerReferencesPermissionEnforcement is on
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
