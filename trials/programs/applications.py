from trials.programs.trial import Case
APPLICATIONS: tuple[Case, ...] = ()
