"""Processes die and freeze; a standby takes over."""
import os
import random
import time

import pytest
from load import EVENTS
from peers import door
from waiting import lasting, wait_for


@pytest.mark.parametrize("moment", ["stamped", "published"])
def test_a_publisher_killed_just_when(load, row, moment):
    load.subscribe()
    for when in [1, 3, 8]:
        dying = load.publish(EVENTS // 4, rate=2000, die_at=f"{moment}:{when}")
        dying.died()
    load.publish(EVENTS // 4)
    row.holds(load, load.drain(), "killed at the 1st, 3rd and 8th time")


@pytest.mark.parametrize("moment", ["received", "handled", "applied"])
def test_a_subscriber_killed_just_when(load, row, moment):
    load.publish(rate=2000)
    for when in [1, 3, 8]:
        dying = load.subscribe(die_at=f"{moment}:{when}")
        dying.died()
    load.subscribe()
    row.holds(load, load.drain(), "killed at the 1st, 3rd and 8th time")


def test_both_killed_at_random_moments(load, row):
    chance = random.Random(7)
    talker, taker = load.publish(EVENTS // 10, rate=1500), load.subscribe()
    for _ in range(12):
        lasting(chance.uniform(0.05, 0.9))
        if chance.random() < 0.5:
            talker.kill()
            talker = load.publish(EVENTS // 10, rate=1500)
        else:
            taker.kill()
            taker = load.subscribe()
    row.holds(load, load.drain(), "12 times under load")


@pytest.mark.parametrize("who, seconds", [
    ("publisher", 1), ("publisher", 12), ("subscriber", 1), ("subscriber", 12)])
def test_a_frozen(load, row, who, seconds):
    """Also the tail that a frozen subscriber did not hear: nothing is said after it."""
    talker, taker = load.publish(rate=1500), load.subscribe()
    load.taking(EVENTS // 10)
    frozen = talker if who == "publisher" else taker
    frozen.pause()
    lasting(seconds)
    frozen.wake()
    row.holds(load, load.drain(12), f"{seconds} s")


def leads(load, standby, after):
    """Seconds until the standby leads."""
    wait_for(lambda: standby.told("ready"), 30, "the standby to lead")
    return time.monotonic() - after


def test_a_standby_leads_when_the_leader_is_killed(load, row):
    load.subscribe()
    leader = load.publish(rate=1500).ready()
    standby = load.standby()
    load.taking(EVENTS // 10)
    assert not standby.told("ready")
    leader.kill()
    took = leads(load, standby, time.monotonic())
    assert took < 5
    row.holds(load, load.drain(), f"led after {took:.1f} s")


def test_a_paused_leader_is_fenced(load, row):
    load.subscribe()
    leader = load.publish(rate=500).ready()
    load.taking(EVENTS // 10)
    standby = load.standby()
    leader.pause()
    took = leads(load, standby, time.monotonic())
    leader.wake()
    leader.died(20)
    assert "another instance" in leader.words, leader.words
    assert took < 30
    row.holds(load, load.drain(), f"the standby led after {took:.1f} s; the woken one ended itself")


def test_the_lead_goes_back_and_forth(load, row):
    load.subscribe()
    leader = load.publish(EVENTS // 5, rate=2000).ready()
    for _ in range(4):
        standby = load.publish(EVENTS // 5, rate=2000)
        lasting(0.7)
        assert not standby.told("ready")
        leader.kill()
        standby.ready()
        leader = standby
    row.holds(load, load.drain(), "four times")


def test_a_poison_message_is_parked_after_three_deaths(load, row):
    poison = EVENTS // 2
    load.publish()
    taker, deaths = load.subscribe(poison=poison), 0
    end = time.monotonic() + 60
    while time.monotonic() < end:
        wait_for(lambda: not taker.lives or parked(load), 40, "a death, or the parking")
        if taker.lives:
            break
        deaths += 1
        taker = load.subscribe(poison=poison)
    behind = EVENTS // 100 - poison // 100
    load.drain(parked=behind)
    rows = parked(load)
    assert [int(r[0]) for r in rows if r[1] == "f"] == [poison]
    assert len(rows) == behind and {r[2] for r in rows} == {f"k{poison % 100}"}, "its key waits behind it"
    verdict = load.verdict()
    assert (verdict.lost, verdict.doubled, verdict.unexpected, verdict.disordered) == (behind, 0, 0, 0)
    # Three deaths of the event alone; before it the batch that held it may die as well.
    assert deaths <= 4
    verdict.lost = 0
    row.shown(verdict, f"parked after {deaths} deaths, {behind - 1} behind it")


def parked(load):
    return load.ask(load.takers, "SELECT convert_from(body, 'UTF8')::json->'data'->>'number', behind, key FROM load_s1.parked")


def test_the_files_of_the_doors_are_gone(load, row):
    """As a predecessor leaves them that ends late: whoever comes anew must find the publisher all the same."""
    load.publish(EVENTS // 2, rate=200)
    taker = load.subscribe()
    load.taking(1)
    for which in ["pub", "pull"]:
        os.unlink(door(load, "load-p", which).removeprefix("ipc://"))
    taker.kill()
    load.subscribe()
    row.holds(load, load.drain(), "both removed under way; the subscriber started anew")
