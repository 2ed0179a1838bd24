"""The tests; a package, so that `tests.mqtt.dialogue` is ours and not another distribution's."""
