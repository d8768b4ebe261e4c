"""Messages of the first process of a run to the others, also after restarts with the same store."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from trainer.core.errors import UserError
from trainer.training.distributed.rendezvous import Rendezvous


def connect(port):
    return Rendezvous("127.0.0.1", port, is_host=False)


def test_each_process_receives_each_message_once_and_in_order():
    first = Rendezvous("127.0.0.1", 0, is_host=True)

    def receive_all():
        other = connect(first.port)
        return [other.receive() for _ in range(3)]

    with ThreadPoolExecutor(2) as pool:
        received = [pool.submit(receive_all) for _ in range(2)]
        for message in ("a", "b", "c"):
            first.share(message, others=2)
        assert [future.result() for future in received] == [["a", "b", "c"]] * 2


def test_restarted_processes_receive_only_new_messages_from_a_store_that_was_used_before():
    host = Rendezvous("127.0.0.1", 0, is_host=True)  # the store of torchrun
    with ThreadPoolExecutor(2) as pool:
        for message in ("first start", "second start"):
            first = connect(host.port)
            received = pool.submit(lambda: connect(host.port).receive())
            first.share(message, others=1)
            assert received.result() == message
        first = connect(host.port)  # the third start: no other process has connected yet
        with pytest.raises(UserError, match="1 of 2 processes connected within 0 s"):
            first.share("third start", others=1, seconds=0.1)


def test_a_request_of_a_process_that_has_ended_is_not_counted():
    host = Rendezvous("127.0.0.1", 0, is_host=True)
    with ThreadPoolExecutor(2) as pool:
        dead = connect(host.port)
        dead._messages.set(f"request/{dead._messages.add('requests', 1)}", b"\x80\x04K\x00\x8c\x01x\x86.")
        received = pool.submit(lambda: connect(host.port).receive())
        connect(host.port).share("job", others=1)
        assert received.result() == "job"
