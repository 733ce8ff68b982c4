"""Kinds that several fields have, of a job and of its stages."""

from sakuga.engine.jobs import kinds
from sakuga.engine.jobs.kinds import LARGEST_NUMBER
from sakuga.engine.sampling.samplers import find_sampler
from sakuga.engine.sampling.schedules import schedule_name
from sakuga.engine.text.tokenizer import MAX_CHARACTERS

COUNT = kinds.whole(1, 2**31 - 1, "a whole number from 1")
PROMPT = kinds.text(
    MAX_CHARACTERS, f"valid Unicode text of at most {MAX_CHARACTERS:,} characters, none of them NUL"
)
SAMPLER = kinds.name(find_sampler, "the name of a sampler")
SCALE = kinds.number(0, LARGEST_NUMBER, "a number from 0")
SCHEDULE = kinds.name(schedule_name, "the name of a schedule")
SHARE = kinds.number(0, 1, "a number from 0 to 1")
SIZE = kinds.size('a size such as "832x1216"')
STEPS = kinds.whole(1, 1000, "a whole number from 1 to 1000")
