using System.Collections.Concurrent;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A history on a directory and on its model, and what a power loss after it leaves of both.</summary>
internal sealed class FileCrashRig
{
    private readonly FileCrashModel _model;
    private readonly List<HashSet<string>> _outcomes = [];
    private SimulatedDirectory _directory = null!;
    private BlockRecorder _recorder = null!;

    private FileCrashRig(CrashRules rules) => _model = rules == CrashRules.Ordered ? new OrderedCrashModel() : new MinimumCrashModel();

    /// <summary>
    /// Runs a history, and returns how many outcomes it has, 0 if there are too many states to try all. A line is an operation : the files "a" and "b" are there, of 1024 bytes 'o', synced. Content is a letter and how often:
    /// <c>write a 512 x1024</c>.
    /// </summary>
    internal static async Task<int> CheckAsync(CrashRules rules, string history, SimulatedDirectoryOptions? options = null)
    {
        var rig = new FileCrashRig(rules);
        var disk = new SimulatedDisk(256 << 10);
        await using (rig._directory = await SimulatedDirectory.CreateAsync(disk, (options ?? new()) with { Rules = rules }))
        {
            foreach (string line in (string[])["create a", "write a 0 o1024", "sync a", "create b", "write b 0 o1024", "sync b", "syncdir"])
            {
                await rig.DoAsync(line);
            }
        }

        rig._recorder = await BlockRecorder.StartAsync(disk);
        await using (rig._directory = await SimulatedDirectory.OpenAsync(rig._recorder))
        {
            rig._recorder.Mark("opened");
            rig._outcomes.Add(rig._model.Outcomes());
            foreach (string line in history.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            {
                await rig.DoAsync(line);
                rig._recorder.Mark(line);
                rig._outcomes.Add(rig._model.Outcomes());
            }
        }

        return await rig.ExploreAsync(history);
    }

    internal static async Task<string> DescribeAsync(SimulatedDirectory directory)
    {
        var files = new List<(string, byte[])>();
        foreach (string name in directory.GetFileNames())
        {
            await using SimulatedFile file = await directory.OpenFileAsync(name, FileMode.Open, FileAccess.Read);
            byte[] content = new byte[file.Length];
            await file.ReadExactlyAsync(content);
            files.Add((name, content));
        }

        return FileCrashModel.Describe(files);
    }

    private async Task<int> ExploreAsync(string history)
    {
        BlockTrace trace = _recorder.Stop();
        var left = new ConcurrentDictionary<string, string>();
        CrashReport report = await CrashExplorer.ExploreAsync(
            trace,
            async state =>
            {
                await using SimulatedDirectory directory = await SimulatedDirectory.OpenAsync(state.Image);
                string outcome = await DescribeAsync(directory);
                int done = trace.Marks.Count(mark => mark.Event <= state.Point);
                if (done == _outcomes.Count)
                {
                    left.TryAdd(outcome, state.Id);
                }

                return _outcomes[Math.Max(0, done - 1)].Contains(outcome) || (done < _outcomes.Count && _outcomes[done].Contains(outcome))
                    ? CrashVerdict.Recovered
                    : CrashVerdict.SilentWrong($"after {done} marks: {outcome}");
            },
            new CrashExplorerOptions { MaxStates = 1_000_000 });
        Assert.That(report.Failure?.ToString(), Is.Null, history);
        if (!report.IsExhaustive)
        {
            // Too many for the explorer: then there was nothing wrong among those that it tried.
            return 0;
        }

        Assert.That(_outcomes[^1].Except(left.Keys), Is.Empty, $"not found after\n{history}\nin {report}");
        return _outcomes[^1].Count;
    }

    private async Task DoAsync(string line)
    {
        string[] words = line.Split(' ');
        switch (words[0])
        {
            case "create":
                await (await _directory.OpenFileAsync(words[1], FileMode.CreateNew)).DisposeAsync();
                _model.Create(words[1]);
                break;
            case "write":
                byte[] bytes = new byte[int.Parse(words[3][1..], null)];
                bytes.AsSpan().Fill((byte)words[3][0]);
                await On(words[1], file => file.WriteAtAsync(int.Parse(words[2], null), bytes).AsTask());
                _model.Write(words[1], int.Parse(words[2], null), bytes);
                break;
            case "setlength":
                await On(words[1], file => file.SetLengthAsync(int.Parse(words[2], null)));
                _model.SetLength(words[1], int.Parse(words[2], null));
                break;
            case "sync":
                await On(words[1], static file => file.FlushAsync(flushToDisk: true));
                _model.Sync(words[1]);
                break;
            case "rename":
                await _directory.RenameAsync(words[1], words[2]);
                _model.Rename(words[1], words[2]);
                break;
            case "delete":
                await _directory.DeleteAsync(words[1]);
                _model.Delete(words[1]);
                break;
            case "syncdir":
                await _directory.SyncAsync();
                _model.SyncNames();
                break;
            default:
                throw new FormatException(line);
        }

        Assert.That(await DescribeAsync(_directory), Is.EqualTo(_model.Visible()), line);
    }

    private async Task On(string name, Func<SimulatedFile, Task> action)
    {
        await using SimulatedFile file = await _directory.OpenFileAsync(name, FileMode.Open);
        await action(file);
    }
}
