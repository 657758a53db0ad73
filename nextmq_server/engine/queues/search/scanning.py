"""Read one page of the jobs of a state, and return those that may match: a script that takes a bounded time.

The script drops what cannot match; `conditions` says what that is, and the caller checks the rest.
"""

from __future__ import annotations

import typing as t

from ...scripts.scripts import QueueScripts, pack_raw
from .conditions import Conditions
from .sources import Hit, ScanPlace, Source

MAX_JOBS = 1000
"""How many jobs one page looks at."""

MAX_HITS = 250
"""How many jobs one page returns: the event loop reads each of them."""

MAX_BYTES = 512 * 1024
"""How many bytes of jobs one page looks at; the job that passes it is the last."""

OVERLAP = 50
"""How many jobs of a list are looked for again in front of the next page, since jobs leave the list meanwhile."""

MAX_SOUGHT = 200_000
"""How many jobs of a list are gone through to find the place again if many were added meanwhile."""

LARGE = 32 * 1024
"""How large, in bytes, a job is taken to be before one was read."""

# KEYS: the set or list; what the keys of the queue's jobs begin with. ARGV: the request, packed.
# Returns how many jobs were looked at; the score and id of the last one, or its position in the list; whether the
# end was reached; the largest job; the last ids of a list; {id, score, fields} of those that may match.
_PAGE = """
local source, prefix, ask = KEYS[1], KEYS[2], cmsgpack.unpack(ARGV[1])
local fields, width = ask.fields, math.max(1, #ask.fields)
local find, lower, call = string.find, string.lower, redis.call

-- `<` would compare by the locale of the server, Redis orders by bytes.
local function is_less(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = one:byte(i), other:byte(i)
    if a ~= b then return a < b end
  end
  return #one < #other
end

local function rank_behind(score, id)
  if id == '' then return call('ZCOUNT', source, '(' .. score, '+inf') end
  local rank = call('ZREVRANK', source, id)
  if rank and call('ZSCORE', source, id) == score then return rank + 1 end
  local low = call('ZCOUNT', source, '(' .. score, '+inf')
  local high = low + call('ZCOUNT', source, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_less(call('ZREVRANGE', source, middle, middle)[1], id) then high = middle else low = middle + 1 end
  end
  return low
end

local function place_behind(start, anchors)
  if #anchors == 0 then return start end
  local from, places = math.max(0, start - ask.overlap), {}
  for i, id in ipairs(call('LRANGE', source, from, start + ask.overlap)) do places[id] = from + i end
  for i = #anchors, 1, -1 do
    if places[anchors[i]] then return places[anchors[i]] end
  end
  local found = call('LPOS', source, anchors[#anchors], 'MAXLEN', ask.sought)
  return found and found + 1 or from
end

-- SORT reads many jobs in about half the time. A user of Redis who may not read every key may not use it.
local may_sort = not find(prefix, '*', 1, true)
local list_ids = ask.is_list and 'LRANGE' or 'ZREVRANGE'
local columns = {'SORT', source, 'BY', 'nosort', ask.is_list and 'ASC' or 'DESC', 'LIMIT', 0, 0}
for _, field in ipairs(fields) do
  table.insert(columns, 'GET')
  table.insert(columns, prefix .. '*->' .. field)
end
local function read(first, count)
  if #fields == 0 then return call(list_ids, source, first, first + count - 1) end
  if may_sort then
    columns[7], columns[8] = first, count
    local rows = redis.pcall(unpack(columns))
    if not rows.err then return rows end
    may_sort = false
  end
  local rows = {}
  for _, id in ipairs(call(list_ids, source, first, first + count - 1)) do
    local values = redis.pcall('HMGET', prefix .. id, unpack(fields))
    for i = 1, width do table.insert(rows, values[i] or false) end
  end
  return rows
end

-- These loops run for each job: ipairs would make them slower.
local texts, numbers = ask.texts, ask.numbers
local function holds(rows, at, text)
  local places, needles, marks, has_letters = text[1], text[2], text[3], text[4]
  for i = 1, #places do
    local value = rows[at + places[i]]
    if value then
      local folded = not has_letters and value
      for j = 1, #needles do
        if find(value, marks[j], 1, true) then
          folded = folded or lower(value)
          if find(folded, needles[j], 1, true) then return true end
        end
      end
    end
  end
  return false
end

local function may_match(rows, at)
  for i = 1, #texts do
    if not holds(rows, at, texts[i]) then return false end
  end
  for i = 1, #numbers do
    local one = numbers[i]
    local value, op, wanted = rows[at + one[1]], one[2], tonumber(one[3])
    if one[4] then
      value = value and tonumber(value:match('.*"status":(%d+)'))
    else
      value = tonumber(value or 0) or 0
    end
    local is_right = value and (
      (op == '' and value == wanted) or (op == '<' and value < wanted) or (op == '>' and value > wanted)
      or (op == '<=' and value <= wanted) or (op == '>=' and value >= wanted))
    if not is_right then return false end
  end
  return true
end

local first = ask.is_list and place_behind(ask.start, ask.anchors) or rank_behind(ask.score, ask.id)
local last = ask.is_list and call('LLEN', source) or call('ZCOUNT', source, ask.least, '+inf')
local looked, left, largest, hits, is_end = 0, ask.bytes, ask.largest, {}, false

local function hit(id, rows, base)
  local hash, size = {}, 0
  if ask.whole then
    hash = redis.pcall('HGETALL', prefix .. id)
    if hash.err then hash = {} end
    for _, text in ipairs(hash) do size = size + #text end
  else
    for i, field in ipairs(fields) do
      if rows[base + i] then
        table.insert(hash, field)
        table.insert(hash, rows[base + i])
      end
    end
  end
  if #hash > 0 or (#fields == 0 and not ask.whole) then
    table.insert(hits, {id, ask.is_list and '' or call('ZSCORE', source, id), hash})
  end
  return size
end

while looked < ask.jobs and left > 0 and #hits < ask.hits and not is_end do
  local room = math.min(50, ask.jobs - looked, last - first - looked)
  local count = math.min(room, math.max(1, math.floor(left / (largest + 1))))
  local from = first + looked
  local rows = count > 0 and read(from, count) or {}
  local ids
  is_end, largest = #rows == 0, 0
  for i = 0, #rows / width - 1 do
    local base, size = i * width, 0
    for j = base + 1, base + width do
      if rows[j] then size = size + #rows[j] end
    end
    looked = looked + 1
    if size > largest then largest = size end
    if may_match(rows, base) then
      ids = ids or call(list_ids, source, from, from + count - 1)
      size = size + hit(ids[i + 1], rows, base)
    end
    left = left - size
    if left <= 0 or #hits == ask.hits then break end
  end
end
local anchors = {}
if looked > 0 then
  local from = ask.is_list and math.max(0, looked - ask.overlap) or looked - 1
  anchors = call(list_ids, source, first + from, first + looked - 1)
end
local last_id = anchors[#anchors] or ''
local score = not ask.is_list and last_id ~= '' and call('ZSCORE', source, last_id) or ''
is_end = is_end or first + looked >= last
return {looked, score, last_id, first + looked, is_end and 1 or 0, largest, anchors, hits}
"""


class Page(t.NamedTuple):
    """What was found, and where the next page begins. `largest` is the bytes of the largest job that was read."""

    looked: int
    place: ScanPlace
    is_end: bool
    largest: int
    hits: list[Hit]


async def read_page(
    scripts: QueueScripts,
    source: Source,
    place: ScanPlace,
    conditions: Conditions,
    *,
    jobs: int,
    hits: int,
    whole: bool,
    least: str = "-inf",
    largest: int = LARGE,
) -> Page:
    """Return the page behind `place`: at most `jobs` jobs. It ends early with `hits` jobs that may match.

    They come with their whole hash, or with the fields that were read. `least` is the lowest score to look at.
    `largest` is that of the page before. Raises RedisError or ConnectionLost.
    """
    request: dict[str, t.Any] = {
        **conditions.request,
        "is_list": source.is_list,
        "jobs": min(jobs, MAX_JOBS),
        "bytes": MAX_BYTES,
        "overlap": OVERLAP,
        "sought": MAX_SOUGHT,
        "largest": largest,
        "hits": min(hits, MAX_HITS),
        "whole": whole,
        "score": place.score,
        "id": place.id.encode("utf-8", "surrogateescape"),
        "least": least,
        "start": place.start,
        "anchors": [id.encode("utf-8", "surrogateescape") for id in place.anchors],
    }
    keys = [scripts.keys[source.name], scripts.keys[""]]
    answer: list[t.Any] = await scripts.run_composed(_PAGE, keys, [pack_raw(request)])
    looked, score, last_id, start, is_end, read, anchors, found = answer
    if not looked:
        following = place
    elif source.is_list:
        following = ScanPlace(start=start, anchors=tuple(anchors))
    else:
        following = ScanPlace(score=score, id=last_id)
    return Page(looked, following, bool(is_end), read, [Hit(*one) for one in found])
