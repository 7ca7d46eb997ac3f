"""Tables, pictures, transforms and batches."""

from ofa.data.schema import TABLES
from ofa.data.table import RowError, Table, TableWriter

__all__ = ["TABLES", "RowError", "Table", "TableWriter"]
