"""How good a transformer shape is expected to be: the proxy protocol, and the proxies that ship with codesign."""

from codesign.accuracy.proxy import Proxy as Proxy
from codesign.accuracy.proxy import Quality as Quality
from codesign.accuracy.proxy import resolve as resolve
