from .coupling import draw_coupling as draw_coupling
from .dynamics import draw_dynamics as draw_dynamics
from .errors import FigureError as FigureError
from .folder import draw_all as draw_all
from .retention import draw_retention as draw_retention
from .save import save_figure as save_figure
from .sensitivity import draw_sensitivity as draw_sensitivity
from .training import draw_training as draw_training
