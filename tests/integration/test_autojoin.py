# SPDX-License-Identifier: MIT
"""Socket.IO clients that follow all conversations of their user, as those of S3 expect: none of them joins.

Each person has two workers' worth of sockets: what begins on one is followed by all."""
import asyncio
import contextlib

from roomd_clients import Http, eventually
from roomd_people import People, bearer
from test_sio_recovery import Recoverer

SETTINGS = {'auth.hash_memory': '64k', 'auth.hash_passes': 1}
DAEMON = {'workers': 4, 'settings': SETTINGS}
ALL = {'autojoin': True}


@contextlib.asynccontextmanager
async def people_of(daemon, *wishes):
    """Connected clients of new people, each with what it says besides its token."""
    async with People(daemon) as people:
        accounts = [await people.new_person(f'person{n}') for n in range(len(wishes))]
    clients = []
    for account, wish in zip(accounts, wishes):
        clients.append(await again(Recoverer(daemon, account), wish))
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


async def again(client, wish=ALL):
    client.auth = wish
    assert not await client.connect()
    return client


@contextlib.asynccontextmanager
async def device_of(client, wish=ALL):
    """One more socket of the same person."""
    more = await again(Recoverer(client.daemon, {'token': client.token, 'user': {'id': client.user}}), wish)
    yield more
    await more.close()


async def write(client, other, text):
    """To a person: the number of the conversation."""
    answer = await client.ask('send_message', {'receiverId': other.user, 'content': text})
    return answer['message']['conversationId']


async def test_what_there_is_is_followed_from_the_beginning(daemon):
    """And from now on, by who says so alone. Red without sio_all_begin in enter_new."""
    async with people_of(daemon, {}, {}) as (ann, bob):
        room = await write(ann, bob, 'before')
        async with device_of(bob) as phone, device_of(ann) as tablet, device_of(bob, {'autojoin': False}) as other:
            await ann.say(room, 'now')
            await phone.wait_texts(room, ['now'])
            await tablet.wait_texts(room, ['now'])
            await tablet.link.send('42["typing",{"conversationId":%d}]' % room)
            await eventually(lambda: any(heard[0] == 'typing' for heard in phone.heard), 'typing is told')
            assert (await phone.ask('join_conversation', room))['conversation']['id'] == room
            assert not other.texts(room) and not bob.texts(room)


async def test_what_begins_later_is_followed_by_both(daemon):
    """On all their sockets, from its first message, however it began.

    Red without sio_all_changed in revoke.c: the sender's other socket misses the first message."""
    async with people_of(daemon, ALL, ALL, ALL) as (ann, bob, eve):
        async with device_of(ann) as tablet, device_of(bob) as phone:
            room = await write(ann, bob, 'first')
            await ann.say(room, 'second')
            for one in (ann, tablet, bob, phone):
                await one.wait_texts(room, ['first', 'second'])
            async with Http(daemon) as http:
                ask = {'headers': bearer(eve.token)}
                async with http.session.post(f'{daemon.http}/api/v1/conversations', **ask,
                                             json={'kind': 'direct', 'members': [bob.user]}) as answer:
                    made = (await answer.json())['id']
                async with http.session.post(f'{daemon.http}/api/v1/conversations/{made}/messages', **ask,
                                             json={'content': 'by REST'}) as answer:
                    assert answer.status == 201
            for one in (eve, bob, phone):
                await one.wait_texts(made, ['by REST'])
            assert not ann.texts(made) and not tablet.texts(made)


async def test_many_begin_while_somebody_connects(daemon):
    """None is missed, none comes twice. Red with is_again not set in sio_all_enter, now and then."""
    async with people_of(daemon, *[{}] * 8, {}) as (*others, bob):
        async def begin(one):
            room = await write(one, bob, 'first')
            await one.say(room, 'second')
            return room

        beginning = asyncio.gather(*(begin(one) for one in others))
        async with device_of(bob) as phone:
            for one, room in zip(others, await beginning):
                await one.say(room, 'last')
                await eventually(lambda room=room: 'last' in phone.texts(room), f'{room} is followed')
                assert phone.texts(room) == ['first', 'second', 'last'][-len(phone.texts(room)):]


async def test_who_comes_back_follows_what_began_meanwhile(daemon):
    """And not what he had left. Red with all->left not looked at in follow(), and with begin_of always 0."""
    async with people_of(daemon, {}, {}, {}, ALL) as (ann, eve, carl, bob):
        left, kept = await write(ann, bob, 'one'), await write(eve, bob, 'two')
        await bob.wait_texts(left, ['one'])
        await bob.wait_texts(kept, ['two'])
        await bob.ask('leave_conversation', left)
        await bob.lose_link()
        bob.heard.clear()
        await ann.say(left, 'not for him')
        await eve.say(kept, 'three')
        begun = await write(carl, bob, 'new')
        assert await bob.connect()
        await bob.wait_texts(kept, ['three'])
        await bob.wait_texts(begun, ['new'])
        await ann.say(left, 'nor this')
        await eve.say(kept, 'four')
        await bob.wait_texts(kept, ['three', 'four'])
        await eventually(lambda: sum(heard[0] == 'message_notification' for heard in bob.heard) >= 2, 'both notices')
        await bob.ask('mark_as_read', kept)
        assert not bob.texts(left)


async def test_the_setting_is_for_who_says_nothing(start_daemon):
    """Red with wants_all looking at the packet alone."""
    daemon = start_daemon(settings={**SETTINGS, 'engineio.autojoin': 'on', 'engineio.recovery': 'off'})
    async with people_of(daemon, {}, {}) as (ann, bob):
        async with device_of(bob, {'autojoin': False}) as other:
            room = await write(ann, bob, 'first')
            await bob.wait_texts(room, ['first'])
            await bob.ask('leave_conversation', room)
            await ann.say(room, 'second')
            await eventually(lambda: sum(heard[0] == 'message_notification' for heard in bob.heard) == 2, 'told of it')
            await bob.ask('mark_as_read', room)
            assert bob.texts(room) == ['first'] and not other.texts(room)
            await ann.wait_texts(room, ['first', 'second'])
