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
    private static bool Running;

    [ThreadStatic]
    private static Submission? First;

    [ThreadStatic]
    private static Submission? Last;

    /// <summary>Completes a submission at once, or when the outermost frame on this thread gets to it.</summary>
    internal static void Run(Submission submission)
    {
        if (Last is null)
        {
            First = submission;
        }
        else
        {
            Last.NextCompleted = submission;
        }

        Last = submission;
        if (!Running)
        {
            RunAll();
        }
    }

    /// <summary>A submission that throws has a bug: it is told to the caller, but only after everybody else got their completion.</summary>
    private static void RunAll()
    {
        ExceptionDispatchInfo? failure = null;
        Running = true;
        while (First is { } submission)
        {
            First = submission.NextCompleted;
            if (First is null)
            {
                Last = null;
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

        Running = false;
        failure?.Throw();
    }
}
