"""Adapters: how each kind of recorded computation is run by our code.

Every module of this package is imported by the runner and may define

* `ADAPTERS = {kind: function(case, data_dir) -> {output name without "out.": array}}`;
* `EXPECTED = {kind: function(full_json) -> {output name: array}}`, for kinds whose results
  (or some of them) stand in the JSON file;
* `RESULT_KEYS = {kind: (key, ...)}`: keys that hold results and are removed, at any depth, from
  the JSON that the adapter of this kind is shown.
"""
