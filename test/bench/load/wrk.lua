-- The requests of test/bench/load.ts, for wrk: counts answers by what they are, and prints one line of JSON at the end.

local threads = {}
local counters = { "answered", "refused429", "refused503", "withoutRetryAfter", "other", "otherStatus" }

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  answered, refused429, refused503, withoutRetryAfter, other, otherStatus = 0, 0, 0, 0, 0, 0
  wrk.method = "POST"
  wrk.body = args[1]
  wrk.headers["Content-Type"] = "application/json"
end

local function saysWhen(headers)
  for name, value in pairs(headers) do
    if name:lower() == "retry-after" then return tonumber(value) ~= nil end
  end
  return false
end

function response(status, headers)
  if status == 200 then
    answered = answered + 1
    return
  end
  if status == 429 then
    refused429 = refused429 + 1
  elseif status == 503 then
    refused503 = refused503 + 1
  else
    other = other + 1
    otherStatus = status
    return
  end
  if not saysWhen(headers) then withoutRetryAfter = withoutRetryAfter + 1 end
end

function done(summary, latency)
  local parts = {}
  for _, name in ipairs(counters) do
    local sum = 0
    for _, thread in ipairs(threads) do sum = sum + thread:get(name) end
    table.insert(parts, string.format('"%s":%d', name, sum))
  end
  local errors = summary.errors
  io.write(string.format(
    '\nJSON {%s,"seconds":%.3f,"p50Ms":%.3f,"p99Ms":%.3f,"maxMs":%.3f,"connectErrors":%d,"brokenConnections":%d,"lateAnswers":%d}\n',
    table.concat(parts, ","), summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, errors.connect, errors.read + errors.write, errors.timeout))
end
