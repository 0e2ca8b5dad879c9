namespace Abuse.Core;

/// <content>Power loss, and what it would leave.</content>
public sealed partial class SimulatedDisk
{
    /// <summary>Whether the disk has power.</summary>
    public bool IsOn => !IsOff;

    /// <summary>
    /// Takes the power away: the content becomes one that a power loss may leave, and bios, those under way too, fail with
    /// <see cref="BioResult.Offline"/> until <see cref="RestorePower"/>.
    /// </summary>
    /// <param name="loss">What becomes of each unit that has more than its durable version.</param>
    /// <exception cref="ObjectDisposedException">The disk is disposed.</exception>
    /// <exception cref="InvalidOperationException">It has no power.</exception>
    public void LosePower(PowerLoss loss)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_isOff)
            {
                throw new InvalidOperationException("The disk has no power already: RestorePower comes first.");
            }

            LeaveCrashed(_content, loss.Choose);
            _unflushed?.FlushAll();
            _isOff = true;
            _hasLostPower = true;
            _queue?.EndAll(BioResult.Offline);
        }

        _queue?.GiveAnswers();
    }

    /// <summary>Gives the power back: all that is there is durable now. Nothing happens to a disk that has power.</summary>
    /// <exception cref="ObjectDisposedException">The disk is disposed.</exception>
    public void RestorePower()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _isOff = false;
        }
    }

    /// <summary>
    /// A disk of its own with what a power loss at this moment would leave of this one, which goes on. Pages are shared until one of the two
    /// writes to them.
    /// </summary>
    /// <param name="loss">What becomes of each unit that has more than its durable version.</param>
    /// <returns>A disk of the same profile, with power, without a clock and without faults; all of it is durable.</returns>
    /// <exception cref="ObjectDisposedException">The disk is disposed.</exception>
    public SimulatedDisk CrashClone(PowerLoss loss) => CrashClone(loss.Choose);

    /// <summary>The same, with the choice in the caller's hands: of a unit that has some versions beyond the durable one, which stays.</summary>
    internal SimulatedDisk CrashClone(Func<long, int, int> loss)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            PageStore content = _content.Clone();
            LeaveCrashed(content, loss);
            return new SimulatedDisk(Geometry.Size, Profile, Geometry.BlockSize, new SimulatedDiskOptions(), _ => content);
        }
    }

    /// <summary>
    /// Turns content into what a power loss leaves: of each unit a version from its floor to the newest that was given. What was not done yet
    /// may have landed too, in the order in which it was given.
    /// </summary>
    private void LeaveCrashed(PageStore content, Func<long, int, int> loss)
    {
        UndoneWrites? undone = _queue?.FindUndone(Geometry.AtomicUnit, _content);
        if (undone is null)
        {
            _unflushed?.Revert(loss, content);
            return;
        }

        _unflushed?.Revert(undone.Share(loss), content);
        undone.Land(loss, content);
    }

    /// <summary>A clone of the content as reads see it.</summary>
    internal PageStore CloneContent()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return _content.Clone();
        }
    }

    /// <summary>For each atomic unit that a power loss may change, how many versions it has beyond the durable one.</summary>
    internal IReadOnlyDictionary<long, int> CountVersions()
    {
        lock (_lock)
        {
            return _unflushed?.CountVersions() ?? [];
        }
    }
}
