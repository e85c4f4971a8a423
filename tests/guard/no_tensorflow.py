"""A plugin of pytest for `make test-fast`: where a test imports TensorFlow all the same, it fails and says so."""

import sys
from importlib.abc import MetaPathFinder


class _Refused(MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "tensorflow":
            raise AssertionError("this test imports TensorFlow: mark it with @pytest.mark.tensorflow")


sys.meta_path.insert(0, _Refused())
