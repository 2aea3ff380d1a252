-- Events for the gateway under wrk; its arguments are made by bench/wrk.py.
local number, batch, prefix, customers, parts = 0, 1, "", 1, {}
local headers = { ["content-type"] = "application/json" }

function init(arguments)
  batch, prefix, customers = tonumber(arguments[1]), arguments[2], tonumber(arguments[3])
  headers["authorization"] = "Bearer " .. arguments[4]
  for line in io.lines(arguments[5]) do parts[#parts + 1] = line end
end

local function event()
  number = number + 1
  local id = string.format("%s-%08d", prefix, number)
  local customer = string.format("%05d", number % customers)
  return parts[1] .. id .. parts[2] .. customer .. parts[3] .. id .. parts[4]
end

function request()
  if batch == 1 then return wrk.format("POST", nil, headers, event()) end
  local events = {}
  for place = 1, batch do events[place] = event() end
  return wrk.format("POST", nil, headers, '{"events":[' .. table.concat(events, ",") .. "]}")
end

function done(summary, latency, _)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"lost":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, lost
  ))
end
