-- wrk: every request is another Telegram update, from one of a thousand clients who have much to say.
local thread_number = 0
function setup(thread) thread:set("id", thread_number); thread_number = thread_number + 1 end
local count = 0
local head = { ["Content-Type"] = "application/json", ["X-Telegram-Bot-Api-Secret-Token"] = os.getenv("WEBHOOK_SECRET") }
local first = tonumber(os.getenv("FIRST_UPDATE"))
function request()
  count = count + 1
  local number = first + id * 10000000 + count
  local chat = 5000000 + number % 1000
  return wrk.format("POST", nil, head, string.format(
    '{"update_id":%d,"message":{"message_id":%d,"from":{"id":%d,"is_bot":false,"first_name":"Bench"},' ..
    '"chat":{"id":%d,"type":"private"},"date":1795300000,"text":"Нужен токарный станок, в какой срок привезёте?"}}',
    number, number, chat, chat))
end
