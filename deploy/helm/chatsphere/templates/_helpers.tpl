{{- define "chatsphere.labels" -}}
app.kubernetes.io/name: chatsphere
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "chatsphere.selector" -}}
app.kubernetes.io/name: chatsphere
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chatsphere.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "chatsphere.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "chatsphere.podSecurity" -}}
automountServiceAccountToken: false
# Variables like WORKER_PORT are settings here, not the addresses of services that happen to have such names.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "chatsphere.placement" -}}
{{- if .Values.pods.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml .Values.pods.imagePullSecrets | nindent 2 }}
{{- end }}
{{- if .Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml .Values.pods.nodeSelector | nindent 2 }}
{{- end }}
{{- if .Values.pods.tolerations }}
tolerations:
  {{- toYaml .Values.pods.tolerations | nindent 2 }}
{{- end }}
{{- end }}

{{- define "chatsphere.settings" -}}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "chatsphere.secret" -}}
{{- if or .Values.existingSecret (eq .Values.mode "full") }}
envFrom:
  - secretRef:
      name: {{ required "mode full needs existingSecret, with CHATSPHERE_SECRET, DATABASE_URL and REDIS_URL" .Values.existingSecret }}
{{- end }}
{{- end }}
