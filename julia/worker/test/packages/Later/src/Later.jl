# A package that a test loads in the middle of its work.
module Later

__precompile__(false)

struct T end

end
