from tests.submitting import scene as scene
