from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from queqiao_llm._generated import open_inference_pb2

PROTO = Path(__file__).parents[1] / "proto"


def test_the_generated_code_is_what_the_proto_file_says(tmp_path):
    """Compared as descriptors: another version of the compiler writes other code for the same."""
    protoc = pytest.importorskip("grpc_tools.protoc", reason="grpcio-tools is not installed")
    compiled = tmp_path / "set"
    options = [f"--proto_path={PROTO}", f"--descriptor_set_out={compiled}"]

    assert protoc.main(["protoc", *options, "open_inference.proto"]) == 0

    [wanted] = FileDescriptorSet.FromString(compiled.read_bytes()).file
    found = FileDescriptorProto.FromString(open_inference_pb2.DESCRIPTOR.serialized_pb)
    assert without_json_names(found) == without_json_names(wanted)


def without_json_names(file):
    """Only the compiler's own output has them, and they follow from the others."""
    waiting = list(file.message_type)
    while waiting:
        message = waiting.pop()
        waiting += message.nested_type
        for field in message.field:
            field.ClearField("json_name")
    return file
