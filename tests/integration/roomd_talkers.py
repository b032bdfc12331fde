# SPDX-License-Identifier: MIT
"""Clients that talk through crashes, and the check of what the daemon promised them."""
import asyncio
import uuid

import aiohttp
import websockets

from roomd_clients import Http, NativeSocket, eventually
from roomd_harness import PATIENCE

FAST = {'server.respawn_delay': '10ms', 'presence.grace_clean': '100ms', 'presence.grace_lost': '1s'}


class Talker:
    """A client as it should be: sends each message until it is acknowledged, across reconnections."""

    def __init__(self, daemon, room, name, count):
        self.daemon, self.room, self.name = daemon, room, name
        self.pending = [(str(uuid.uuid4()), f'{name}:{n}') for n in range(count)]
        self.acked = []  # (rev, text) in order of acknowledgement
        self.seen = {}  # rev -> text
        self.order = []  # revs as they came
        self.reconnects = -1
        self.log = []  # what each subscription answered, for the message of a failed test

    async def run(self, until=None):
        """Talks until all is acknowledged and UNTIL (a function of self) holds."""
        while self.pending or (until and not until(self)):
            self.reconnects += 1
            try:
                await self._session(until)
            except (OSError, websockets.WebSocketException, asyncio.TimeoutError, AssertionError,
                    asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)

    async def _session(self, until):
        last = self.order[-1] if self.order else 0
        socket = await NativeSocket.hello(self.daemon, self.name)
        try:
            await socket.send({'op': 'sub', 'id': 'sub', 'c': self.room, 'rev': last})
            live = await socket.expect(re='sub')
            self.log.append(f'worker {socket.worker} from {last} live at {live.get("rev", live)}')
            assert live['op'] == 'live', live
            done = 0
            while self.pending or (until and not until(self)):
                if self.pending:
                    key, text = self.pending[0]
                    mark = len(socket.frames)  # a refusal of the attempt before has the same id
                    await socket.send({'op': 'send', 'id': key, 'c': self.room, 'k': key, 'content': text})
                    answer = await socket.expect(after=mark, re=key)
                    if answer['op'] == 'err':
                        assert answer['code'] in ('unavailable', 'overloaded', 'restarting'), answer
                        await asyncio.sleep(0.05)
                    else:
                        self.acked.append((answer['message']['rev'], text))
                        self.pending.pop(0)
                else:
                    await asyncio.sleep(0.02)
                    assert socket.is_open
                done = self._take(socket, done)
        finally:
            self._take(socket, 0)
            await socket.drop()

    def _take(self, socket, start):
        events = socket.events(self.room)
        for event in events[start:]:
            rev = event['rev']
            if rev in self.seen:
                continue
            self.seen[rev] = event['d']['content']
            self.order.append(rev)
        return len(events)


def check(talkers, history, room):
    """Every acknowledged message is in the history exactly once, where its answer said, in order."""
    texts = [message['content'] for message in history]
    assert len(texts) == len(set(texts)), 'a message is stored twice'
    by_rev = {int(message['id']) - room * 2 ** 32: message['content'] for message in history}
    for talker in talkers:
        for rev, text in talker.acked:
            assert by_rev[rev] == text
        mine = [text for text in texts if text.startswith(talker.name + ':')]
        assert mine == [text for _, text in talker.acked], f'the order of {talker.name}'
        # what the socket saw is gapless, in order, and the same as what is stored
        assert talker.order == sorted(talker.order)
        whole = list(range(talker.order[0], talker.order[-1] + 1))
        missing = sorted(set(whole) - set(talker.order))
        assert talker.order == whole, f'{talker.name} misses {missing}: {talker.log}'
        assert all(by_rev[rev] == text for rev, text in talker.seen.items())


async def read_history(daemon, room):
    """The whole history, None when a worker died meanwhile."""
    try:
        async with Http(daemon) as http:
            return await http.history(room)
    except (OSError, aiohttp.ClientError):
        return None


async def talk_and(daemon, disturb, talkers=10, count=100, prefix=None):
    """Lets TALKERS send COUNT each while DISTURB runs; checks all promises afterwards."""
    async with Http(daemon) as http:
        room = prefix or (await http.new_room())['id']
    crowd = [Talker(daemon, room, f'user{n}', count) for n in range(talkers)]
    total = talkers * count

    def all_seen(talker):
        return talker.order and talker.order[-1] == total
    tasks = [asyncio.create_task(talker.run(all_seen)) for talker in crowd]

    def progress():
        return sum(len(talker.acked) for talker in crowd)
    try:
        await disturb(progress, total)
        await asyncio.wait_for(asyncio.gather(*tasks), 10 * PATIENCE)
    finally:
        for task in tasks:
            task.cancel()
    history = await eventually(lambda: read_history(daemon, room), 'the history')
    assert len(history) == total
    check(crowd, history, room)
    return crowd, room
