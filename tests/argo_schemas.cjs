// Objects of Argo Rollouts and the Gateway API before their own schemas.
//
// In: a JSON list of objects on stdin; the packages of @kubernetes-models in node_modules beside this file.
// Out: a JSON list of what is wrong with them. The packages' own validation finds wrong types and missing keys;
// keys that no schema knows, which an API server would drop in silence, are looked for here.
"use strict";

const validation = require("@kubernetes-models/validate");

const schemas = {};
const register = validation.register;
Object.defineProperty(validation, "register", {
  value(id, schema) {
    schemas[id] = schema;
    register(id, schema);
  },
});

const kinds = {
  "argoproj.io/v1alpha1": require("@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1"),
  "gateway.networking.k8s.io/v1": require("@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1"),
};

function unknown(schema, value, place) {
  if (Array.isArray(value)) {
    return value.flatMap((one, number) => unknown(schema.items ?? {}, one, `${place}[${number}]`));
  }
  const known = schema.properties ?? {};
  if (value === null || typeof value !== "object" || Object.keys(known).length === 0) {
    return [];
  }
  return Object.entries(value).flatMap(([key, one]) =>
    key in known ? unknown(known[key], one, `${place}.${key}`) : [`${place}.${key}: no schema knows it`],
  );
}

function problems(object) {
  const place = `${object.kind} ${object.metadata.name}`;
  const Kind = kinds[object.apiVersion]?.[object.kind];
  if (!Kind) {
    return [`${place}: no kind of ${object.apiVersion}`];
  }
  const found = [];
  try {
    new Kind(object).validate();
  } catch (error) {
    found.push(`${place}: ${error.message}`);
  }
  const schema = schemas[`${object.apiVersion.replace("/", ".")}.${object.kind}`];
  return found.concat(unknown(schema, object, place));
}

const objects = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(objects.flatMap(problems)));
