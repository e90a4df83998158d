-- What kstatus says of the object, in Argo CD's words, and that a paused one is suspended. While an object is being deleted,
-- Argo CD says so by itself.
local health = {status = "Progressing", message = "the operator hasn't seen this generation yet"}
local status = obj.status or {}
if status.observedGeneration ~= obj.metadata.generation then
  return health
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready
if ready == nil then
  return health
end

health.message = ready.reason .. ": " .. ready.message
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  health.status = "Degraded"
elseif ready.status == "True" then
  health.status = "Healthy"
elseif ready.reason == "Paused" then
  health.status = "Suspended"
end
return health
