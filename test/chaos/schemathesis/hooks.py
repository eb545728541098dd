"""What a drawn request must have in common with the state, so that it comes further than a 404 now and then."""

import random

import schemathesis

random.seed(1)
NAMES = ["there", "also-there", "new-one"]


@schemathesis.hook
def map_case(context, case):
    case.headers = {**(case.headers or {}), "Prefer": "wait=0"}
    parameters = case.path_parameters or {}
    if "name" in parameters and random.random() < 0.5:
        case.path_parameters = {**parameters, "name": "new-one" if case.method == "DELETE" else random.choice(NAMES)}
    name = (case.path_parameters or {}).get("name")
    # A policy's name stands in the address and in the body.
    if case.method == "PUT" and isinstance(case.body, dict) and isinstance(case.body.get("metadata"), dict):
        if random.random() < 0.7:
            case.body = {**case.body, "metadata": {**case.body["metadata"], "name": name}}
    return case
