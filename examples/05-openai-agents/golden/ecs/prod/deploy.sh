# Written by shipway from agent.toml: deploys reception in prod. It is written again; what is of your
# account is in account.env. Run it: sh deploy.sh
set -eu
cd "$(dirname "$0")"
. ./account.env
CONTROL_URL="${CONTROL_URL-http://reception-control:8083}"
export AWS_DEFAULT_REGION="${AWS_REGION:-}"

need() {
  for name in "$@"; do
    eval "value=\${$name:-}"
    [ -n "$value" ] || { echo "account.env: $name is empty" >&2; exit 2; }
  done
}

list() { printf '%s' "$1" | sed -e 's/[\&|]/\\&/g' -e 's/ *, */", "/g'; } # of sed, and of JSON

fill() {
  sed \
    -e "s|\${AWS_REGION}|$AWS_REGION|g" \
    -e "s|\${CLUSTER}|$CLUSTER|g" \
    -e "s|\${EXECUTION_ROLE_ARN}|$EXECUTION_ROLE_ARN|g" \
    -e "s|\${TASK_ROLE_ARN}|$TASK_ROLE_ARN|g" \
    -e "s|\${SUBNETS}|$(list "${SUBNETS:-}")|g" \
    -e "s|\${SECURITY_GROUPS}|$(list "${SECURITY_GROUPS:-}")|g" \
    -e "s|\${ASSIGN_PUBLIC_IP}|$ASSIGN_PUBLIC_IP|g" \
    -e "s|\${FILE_SYSTEM_ID}|$FILE_SYSTEM_ID|g" \
    -e "s|\${ACCESS_POINT_ID}|$ACCESS_POINT_ID|g" \
    -e "s|\${ALARMS}|$(list "${ALARMS:-}")|g" \
    -e "s|\${GATE_FUNCTION_ARN}|${GATE_FUNCTION_ARN:-}|g" \
    -e "s|\${GATE_ROLE_ARN}|${GATE_ROLE_ARN:-}|g" \
    -e "s|\${CONTROL_URL}|$CONTROL_URL|g" \
    "$1"
}

service_is() { aws ecs describe-services --cluster "$CLUSTER" --services "$1" --query "$2" --output text; }

deploy() { # DIRECTORY SERVICE [OPTION…]
  directory=$1 service=$2
  shift 2
  definition=$(fill "$directory/register-task-definition.json")
  revision=$(aws ecs register-task-definition --cli-input-json "$definition" \
    --query taskDefinition.taskDefinitionArn --output text)
  call=update-service
  [ "$(service_is "$service" "length(services[?status=='ACTIVE'])")" = 1 ] || call=create-service
  echo "$call $service: $revision"
  aws ecs "$call" --cli-input-json "$(fill "$directory/$call.json")" --task-definition "$revision" "$@" \
    --query service.status --output text >/dev/null
}

settle() { # until it runs, or ECS has gone back to what ran before
  aws ecs wait services-stable --cluster "$CLUSTER" --services "$service"
  running=$(service_is "$service" "services[0].taskDefinition")
  [ "$running" = "$revision" ] && return
  echo "$service was rolled back to $running: aws ecs describe-services shows why" >&2
  exit 1
}

need AWS_REGION CLUSTER EXECUTION_ROLE_ARN TASK_ROLE_ARN SUBNETS SECURITY_GROUPS ASSIGN_PUBLIC_IP FILE_SYSTEM_ID ACCESS_POINT_ID
[ -z "${LISTENER_RULE_ARN:-}" ] || need TARGET_GROUP_ARN ALTERNATE_TARGET_GROUP_ARN LISTENER_RULE_ARN BALANCER_ROLE_ARN ALARMS GATE_FUNCTION_ARN GATE_ROLE_ARN
set --
if [ -n "${TARGET_GROUP_ARN:-}" ]; then
  balancer="targetGroupArn=$TARGET_GROUP_ARN,containerName=agent,containerPort=8080"
  if [ -n "${LISTENER_RULE_ARN:-}" ]; then
    rule="productionListenerRule=$LISTENER_RULE_ARN,roleArn=$BALANCER_ROLE_ARN"
    balancer="$balancer,advancedConfiguration={alternateTargetGroupArn=$ALTERNATE_TARGET_GROUP_ARN,$rule}"
    set -- --deployment-configuration "$(fill canary-deployment.json)"
  fi
  set -- "$@" --load-balancers "$balancer" --health-check-grace-period-seconds 120
fi

if [ "$CONTROL_URL" = http://reception-control:8083 ]; then # else it is another stack's
  balancer="targetGroupArn=${CONTROL_TARGET_GROUP_ARN:-},containerName=control,containerPort=8083"
  deploy control reception-prod-control ${CONTROL_TARGET_GROUP_ARN:+--load-balancers "$balancer"}
  settle
fi
deploy . reception-prod "$@"
[ -n "${LISTENER_RULE_ARN:-}" ] || settle # a canary takes longer than anybody waits
