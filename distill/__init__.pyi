from .distillation import distil as distil
from .errors import DistillError as DistillError
from .errors import TableError as TableError
from .parameters import DistillParameters as DistillParameters
from .tables import Tables as Tables
from .tables import default_tables as default_tables
from .tables import read_tables as read_tables
from .tables import write_tables as write_tables
