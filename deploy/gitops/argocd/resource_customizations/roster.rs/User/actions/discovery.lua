local leaving = obj.metadata.deletionTimestamp ~= nil
local disabled = obj.spec.state == "Disabled"

local actions = {}
actions["disable"] = {
  ["disabled"] = leaving or disabled,
  ["iconClass"] = "fa fa-fw fa-user-slash",
}
actions["enable"] = {
  ["disabled"] = leaving or not disabled,
  ["iconClass"] = "fa fa-fw fa-user-check",
}
return actions
