"""Reports of groups, as the actor keeps them."""

from learned_optimization.cluster.board import Board, GroupReport


def test_newest_reports_of_groups_under_way():
    board = Board()
    assert board.report(1, GroupReport("a", "node", updates_done=5)) is False
    board.report(1, GroupReport("a", "node", updates_done=9))
    board.report(2, GroupReport("b", "node", updates_done=1))
    reports, num_lost = board.read([1, 2, 3])
    assert {g: r.updates_done for g, r in reports.items()} == {1: 9, 2: 1}
    assert num_lost == 0
    # The group is at work on another node, from its checkpoint on.
    board.report(2, GroupReport("c", "other", updates_done=0))
    reports, num_lost = board.read([2])
    assert {g: r.node for g, r in reports.items()} == {2: "other"}
    assert num_lost == 1


def test_groups_are_told_to_stop():
    board = Board()
    board.stop()
    assert board.report(1, GroupReport("a", "node")) is True
