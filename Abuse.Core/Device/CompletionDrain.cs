using System.Runtime.ExceptionServices;

namespace Abuse.Core;

/// <summary>
/// Runs completions on the thread that caused them, one after the other: a completion that causes another (its submitter submits again,
/// the target answers at once) appends it, and the outermost frame runs it. So a chain of a million inline completions is as deep as one
/// (B8). Thread-static, needs no lock.
/// </summary>
internal static class CompletionDrain
{
    [ThreadStatic]
    private static bool t_running;

    [ThreadStatic]
    private static Submission? t_first;

    [ThreadStatic]
    private static Submission? t_last;

    /// <summary>Completes a submission at once, or when the outermost frame on this thread gets to it.</summary>
    internal static void Run(Submission submission)
    {
        if (t_last is null)
        {
            t_first = submission;
        }
        else
        {
            t_last.NextCompleted = submission;
        }

        t_last = submission;
        if (!t_running)
        {
            RunAll();
        }
    }

    /// <summary>A submission that throws has a bug: it is told to the caller, but only after everybody else got their completion.</summary>
    private static void RunAll()
    {
        ExceptionDispatchInfo? failure = null;
        t_running = true;
        while (t_first is { } submission)
        {
            t_first = submission.NextCompleted;
            if (t_first is null)
            {
                t_last = null;
            }

            submission.NextCompleted = null;
            try
            {
                submission.OnCompleted(submission.Result);
            }
            catch (Exception exception)
            {
                failure ??= ExceptionDispatchInfo.Capture(exception);
            }
        }

        t_running = false;
        failure?.Throw();
    }
}
