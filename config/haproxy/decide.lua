-- Asks the gateway about a request, and obeys: 200 lets it go on with the identity that the answer names, anything
-- else, silence too, is answered to the client. In nothing else than a 200 is `txn.decided` set.

local GATEWAY = "http://127.0.0.1:8080/_gateway/decide/haproxy"
local PATIENCE = 1250 -- milliseconds; HAProxy asks four times, so that a gateway that hangs is a refusal after 5 seconds

-- The framing of the body, which is not sent, what is between two hops, and what HAProxy says itself.
local NOT_ASKED = {
  ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["keep-alive"] = true,
  ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
  ["x-original-method"] = true, ["x-original-uri"] = true,
  ["forwarded"] = true, ["x-forwarded-for"] = true, ["x-mycelium-request-id"] = true,
}

-- The credential, and whatever a service that folds names could read as the gateway's: x_mycelium_profile, say.
local function is_ours(name)
  return name == "authorization" or name:find("^x%W+mycelium%W") ~= nil
end

local function question(txn, headers)
  local asked = {}
  for name, values in pairs(headers) do
    if not NOT_ASKED[name] then
      local list = {}
      for _, value in pairs(values) do list[#list + 1] = value end
      asked[name] = list
    end
  end
  asked["x-forwarded-for"] = { txn.sf:src() }
  asked["x-original-method"] = { txn.sf:method() }
  asked["x-original-uri"] = { txn.sf:url() }
  return asked
end

local function pass(txn, headers, answer)
  for name in pairs(headers) do
    if is_ours(name) then txn.http:req_del_header(name) end
  end
  for name, values in pairs(answer.headers) do
    if name:find("^x%-mycelium%-") then
      for _, value in pairs(values) do txn.http:req_add_header(name, value) end
    end
  end
  txn:set_var("txn.decided", "pass")
end

local RELAYED = { "content-type", "www-authenticate", "cache-control", "allow", "retry-after", "x-mycelium-request-id" }

local function refuse(txn, answer)
  if answer == nil or answer.status == nil or answer.status < 400 then
    txn:done(txn:reply({ status = 503 }))
    return
  end
  local reply = txn:reply({ status = answer.status, reason = answer.reason })
  for _, name in ipairs(RELAYED) do
    for _, value in pairs(answer.headers and answer.headers[name] or {}) do reply:add_header(name, value) end
  end
  if txn.sf:method() ~= "HEAD" then reply:set_body(answer.body or "") end
  txn:done(reply)
end

core.register_action("decide", { "http-req" }, function(txn)
  local headers = txn.http:req_get_headers()
  local answer = core.httpclient():get({ url = GATEWAY, headers = question(txn, headers), timeout = PATIENCE })
  if answer ~= nil and answer.status == 200 then
    pass(txn, headers, answer)
  else
    refuse(txn, answer)
  end
end)

-- Fields behind a body cannot be taken out here, and some services read them as headers: a request that has any ends
-- with 400 in place of its last bytes. In the buffer there is more than the body then, and the one byte of its end.
local Trailers = { id = "trailers", flags = filter.FLT_CFG_FL_HTX }
Trailers.__index = Trailers

function Trailers:new() return setmetatable({ found = false }, Trailers) end

function Trailers:start_analyze(_, channel)
  if not channel:is_resp() then filter.register_data_filter(self, channel) end
end

function Trailers:http_payload(_, message)
  if message:input() > #(message:body() or "") + 1 then self.found = true end
end

function Trailers:http_end(_, message)
  if self.found and not message:is_resp() then return filter.ERROR end
end

core.register_filter("trailers", Trailers, function(class) return class end)
