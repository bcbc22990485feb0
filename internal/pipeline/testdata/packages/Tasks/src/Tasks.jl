# Keeps what only a running process can have.
module Tasks

const WAITING = @async wait(Condition())

end
