"""Turns forms and XML into parameters by the shapes of botocore's models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

Tree = dict[str, Any]


def from_query(form: Mapping[str, str], shape: Any) -> dict[str, Any]:
    """Returns the parameters of a form of the protocols query and ec2, whose names are paths: `Tags.member.1.Key`."""
    tree: Tree = {}
    for name, value in form.items():
        node = tree
        parts = name.split(".")
        for part in parts[:-1]:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                child = node[part] = {}
            node = child
        node.setdefault(parts[-1], value)
    return _structure(tree, shape)


def _structure(tree: Tree, shape: Any) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for member, member_shape in shape.members.items():
        for name in _names(member, member_shape):
            if name in tree:
                params[member] = _value(tree[name], member_shape)
                break
    return params


def _names(member: str, shape: Any) -> list[str]:
    serialization = shape.serialization
    named = serialization.get("name", member)
    names = [serialization["queryName"]] if "queryName" in serialization else []
    names += [named, named[:1].upper() + named[1:], member]
    if shape.type_name == "list" and "name" in shape.member.serialization:
        names.append(shape.member.serialization["name"])
    return names


def _value(node: Any, shape: Any) -> Any:
    if shape.type_name == "structure":
        return _structure(node, shape) if isinstance(node, dict) else {}
    if shape.type_name == "list":
        return [_value(each, shape.member) for each in _numbered(node)]
    if shape.type_name == "map":
        return _map(node, shape)
    return node


def _numbered(node: Any) -> list[Any]:
    """Returns a list's values in their order. Its numbers are below the name, or below one more (`member`)."""
    if not isinstance(node, dict):
        return [node] if node else []
    if not any(key.isdigit() for key in node) and len(node) == 1:
        return _numbered(next(iter(node.values())))
    return [node[key] for key in sorted((key for key in node if key.isdigit()), key=int)]


def _map(node: Any, shape: Any) -> dict[str, Any]:
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    entries = [each for each in _numbered(node) if isinstance(each, dict)]
    return {str(each.get(key_name, "")): _value(each.get(value_name, ""), shape.value) for each in entries}


def from_xml(element: Element, shape: Any) -> Any:
    """Returns the value of an XML element."""
    if shape.type_name == "structure":
        return _xml_structure(element, shape)
    if shape.type_name == "list":
        name = shape.member.serialization.get("name", "member")
        return [from_xml(child, shape.member) for child in element if _tag(child) == name]
    return element.text or ""


def _xml_structure(element: Element, shape: Any) -> dict[str, Any]:
    children: dict[str, list[Element]] = {}
    for child in element:
        children.setdefault(_tag(child), []).append(child)
    params: dict[str, Any] = {}
    for member, member_shape in shape.members.items():
        is_flat = member_shape.type_name == "list" and member_shape.serialization.get("flattened")
        name = member_shape.serialization.get("name") or (
            member_shape.member.serialization.get("name", member) if is_flat else member
        )
        found = children.get(name)
        if found and is_flat:
            params[member] = [from_xml(child, member_shape.member) for child in found]
        elif found:
            params[member] = from_xml(found[0], member_shape)
    return params


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
