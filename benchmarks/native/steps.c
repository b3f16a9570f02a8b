// Count the instructions of another process, one at a time (Linux): it stops itself where counting begins and ends.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int let_me_be_traced(void) { return (int)ptrace(PTRACE_TRACEME, 0, 0, 0); }

// Steps until the process stops itself; -1 if it ended or cannot be stepped.
long long count_steps(int process) {
  for (long long count = 0;; ++count) {
    int status;
    if (ptrace(PTRACE_SINGLESTEP, process, 0, 0) != 0 || waitpid(process, &status, 0) < 0) return -1;
    if (!WIFSTOPPED(status)) return -1;
    if (WSTOPSIG(status) == SIGSTOP) return count;
  }
}

// Runs until the process stops itself (0) or ends (-1).
int run_on(int process) {
  int status;
  if (ptrace(PTRACE_CONT, process, 0, 0) != 0 || waitpid(process, &status, 0) < 0) return -1;
  return WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP ? 0 : -1;
}
