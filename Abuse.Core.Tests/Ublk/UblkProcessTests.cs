using Abuse.Core.Interop;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A process that prepares itself for serving a disk under memory pressure.</summary>
[TestFixture]
[Platform("Linux")]
[CancelAfter(60_000)]
internal sealed class UblkProcessTests
{
    /// <summary>What children print of themselves begins with the number of their process.</summary>
    private static string[] LinesOf(string output) => output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    [Test]
    public async Task A_program_that_starts_again_is_the_same_process_with_the_same_arguments_and_one_variable_more()
    {
        (int exitCode, string output) = await ChildProgram.RunAsync(ChildProgram.StartAgain, "two words", "", "\u00e9\n", "--x=1");

        Assert.That(exitCode, Is.Zero, output);
        string arguments = "[start-again|two words||\u00e9\n|--x=1]";
        string[] starts = output.TrimEnd('\n').Split(", program dotnet", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        Assert.That(starts, Has.Length.EqualTo(2), output);
        string process = starts[0].Split(':')[0];
        Assert.That(starts[0], Is.EqualTo($"{process}: {arguments} before: none"));
        Assert.That(starts[1], Is.EqualTo($"{process}: {arguments} before: {process}"));
    }

    [Test]
    public void A_program_that_is_not_there_can_t_be_started()
    {
        byte[] name = "x\0"u8.ToArray();
        Assert.That(ProcessCall.Execute("/nowhere/x", name, []), Is.EqualTo(LinuxErrno.ENOENT));
    }

    [Test]
    public void Arguments_without_an_end_are_refused() =>
        Assert.That(() => ProcessCall.Execute("/nowhere/x", "x"u8, []), Throws.ArgumentException);

    [Test]
    public async Task A_flusher_is_started_twice_and_has_its_memory_locked_or_a_sentence_says_what_it_lacks()
    {
        (int exitCode, string output) = await ChildProgram.RunAsync(ChildProgram.BecomeIOFlusher);

        string[] lines = LinesOf(output);
        if (ProcessCall.GetIOFlusher(out int error) < 0)
        {
            Assert.That(exitCode, Is.Not.Zero);
            Assert.That(error, Is.EqualTo(LinuxErrno.EPERM).Or.EqualTo(LinuxErrno.EINVAL));
            Assert.That(output, Does.Contain("Abuse.Core.UblkException: Asking whether this process is an I/O flusher").And.Contain("(prctl: E"));
            Assert.That(lines.Count(static line => line.StartsWith("start of", StringComparison.Ordinal)), Is.EqualTo(1), output);
            return;
        }

        Assert.That(exitCode, Is.Zero, output);
        string process = lines[0].Split(' ')[^1];
        Assert.That(lines[1], Is.EqualTo(lines[0]), "the same process, from the start");
        Assert.That(lines[2], Does.StartWith($"{process} is an I/O flusher: True, locked ").And.Not.EndWith("locked 0 kB"));
    }

    [Test]
    public void The_mark_is_the_thread_s_and_is_inherited_by_those_that_it_begins()
    {
        if (ProcessCall.GetIOFlusher(out _) < 0)
        {
            Assert.Ignore("This process may not mark threads as I/O flushers (CAP_SYS_RESOURCE): what it inherits is tested in the guest alone.");
        }

        (bool Before, bool Own, bool Child) seen = default;
        var marked = new Thread(() =>
        {
            seen.Before = UblkProcess.IsIOFlusher;
            Assert.That(ProcessCall.SetIOFlusher(true), Is.Zero);
            seen.Own = UblkProcess.IsIOFlusher;
            var child = new Thread(() => seen.Child = UblkProcess.IsIOFlusher);
            child.Start();
            child.Join();
        });
        marked.Start();
        marked.Join();

        Assert.That(seen, Is.EqualTo((false, true, true)));
        Assert.That(UblkProcess.IsIOFlusher, Is.False, "not this thread's");
    }
}
